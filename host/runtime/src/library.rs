//! Machine code by the digest of its component: in memory while a rule book uses it, and in the
//! cache for the next start. Forty shops with one plugin share one copy.

use crate::cache::{Cache, CacheError};
use crate::code::{Code, CodeError};
use crate::compile::compile;
use crate::component::{Shape, check};
use crate::digest::Digest;
use crate::limits::CompileLimits;
use crate::plugin::LoadError;
use parking_lot::{Mutex, MutexGuard};
use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Weak};

pub(crate) struct Library {
    engine: wasmtime::Engine,
    cache: Cache,
    /// The program that compiles.
    compiler: PathBuf,
    compile: CompileLimits,
    /// A place for each component in use. Whoever loads one holds its place, so that a component
    /// that many shops want at once is compiled once.
    places: Mutex<HashMap<Digest, Arc<Mutex<Weak<Code>>>>>,
    /// Held while a component is compiled: one at a time, because the child that does it may take
    /// 2 GiB and a minute of every processor, and the tills of other shops go on.
    compiling: Mutex<()>,
    /// Held while a plugin that is being loaded is configured: one at a time, so that loading takes
    /// one of the slots for calls and leaves the others to events.
    configuring: Mutex<()>,
    compiled: AtomicU64,
}

/// What the library did and holds, for whoever watches the server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LibraryFigures {
    /// Components that were compiled since the start. The others were in the cache, or in memory for
    /// another shop.
    pub compiled: u64,
    /// Components whose code is in memory, each once for all shops.
    pub in_memory: u64,
}

impl Library {
    pub fn open(
        engine: wasmtime::Engine,
        cache: &Path,
        fingerprint: &str,
        compiler: PathBuf,
        compile: CompileLimits,
    ) -> Result<Library, CacheError> {
        let cache = Cache::open(cache, fingerprint.into())?;
        Ok(Library {
            engine,
            cache,
            compiler,
            compile,
            places: Mutex::default(),
            compiling: Mutex::default(),
            configuring: Mutex::default(),
            compiled: AtomicU64::new(0),
        })
    }

    /// The code of a component; `name` is for errors.
    pub fn code(&self, name: &str, component: &[u8]) -> Result<Arc<Code>, LoadError> {
        let digest = Digest::of(component);
        let place = self.place(digest);
        let mut place = place.lock();
        if let Some(code) = place.upgrade() {
            return Ok(code);
        }
        let shape = check(component).map_err(|error| LoadError::Component {
            name: name.into(),
            error,
        })?;
        let code = Arc::new(self.load(name, component, &digest, &shape)?);
        *place = Arc::downgrade(&code);
        Ok(code)
    }

    /// Waits until no other plugin is being configured.
    pub fn configuring(&self) -> MutexGuard<'_, ()> {
        self.configuring.lock()
    }

    pub fn figures(&self) -> LibraryFigures {
        let in_use = |place: &&Arc<Mutex<Weak<Code>>>| {
            // Whoever holds a place is loading what belongs into it.
            place.try_lock().is_none_or(|code| code.strong_count() > 0)
        };
        LibraryFigures {
            compiled: self.compiled.load(Ordering::Relaxed),
            in_memory: self.places.lock().values().filter(in_use).count() as u64,
        }
    }

    fn place(&self, digest: Digest) -> Arc<Mutex<Weak<Code>>> {
        let mut places = self.places.lock();
        // One that nobody holds and whose code is gone is of no use any more.
        places.retain(|_, place| Arc::strong_count(place) > 1 || place.lock().strong_count() > 0);
        Arc::clone(places.entry(digest).or_default())
    }

    fn load(
        &self,
        name: &str,
        component: &[u8],
        digest: &Digest,
        shape: &Shape,
    ) -> Result<Code, LoadError> {
        if let Some(file) = self.cache.find(digest) {
            match self.open_file(&file, digest, shape) {
                Err(CodeError::Load { reason }) => {
                    tracing::warn!(
                        plugin = name,
                        reason,
                        "compiled plugin cannot be loaded; compiling again"
                    );
                    self.cache.remove(&file);
                }
                opened => {
                    return opened.map_err(|error| LoadError::Code {
                        name: name.into(),
                        error,
                    });
                }
            }
        }
        let compiled = {
            let _alone = self.compiling.lock();
            compile(&self.compiler, &self.compile, component)
        };
        let code = compiled.map_err(|error| LoadError::Compile {
            name: name.into(),
            error,
        })?;
        self.compiled.fetch_add(1, Ordering::Relaxed);
        let file = self.cache.keep(digest, &code)?;
        self.open_file(&file, digest, shape)
            .map_err(|error| LoadError::Code {
                name: name.into(),
                error,
            })
    }

    fn open_file(&self, file: &Path, digest: &Digest, shape: &Shape) -> Result<Code, CodeError> {
        // SAFETY: the file is from our cache, where only our compiler's code for this engine is
        // put, in a directory that belongs to this user alone; its checksum was compared.
        unsafe { Code::load(&self.engine, file, shape, digest.to_string()) }
    }
}
