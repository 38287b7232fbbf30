//! A WASI 0.2 that gives nothing away.
//!
//! Some languages cannot start without one. Here there are no files, no arguments, no environment
//! and no sockets; the clock stands at the time of the event; what looks random follows from the
//! event and the plugin alone. Standard output and standard error end in the plugin's log. What
//! has no meaning in such a world (opening, waiting, exiting) ends the call if it is used.
//!
//! It is written by hand rather than taken from `wasmtime-wasi`, because code that could open a
//! file is not here to be reached.

use crate::call::Session;
use crate::digest::Digest;
use crate::log::Level;
use sha2::{Digest as _, Sha256};
use stampcard_pipeline::event::Instant;
use wasmtime::component::types::ComponentItem;
use wasmtime::component::{
    Component, ComponentType, Lift, Linker, LinkerInstance, Lower, Resource, ResourceType,
};
use wasmtime::{Engine, StoreContextMut};

/// The interfaces that may be imported, in any patch of 0.2. Of those that are not all here,
/// [`define`] gives what languages use to start.
const INTERFACES: [&str; 22] = [
    "wasi:io/error",
    "wasi:io/poll",
    "wasi:io/streams",
    "wasi:cli/environment",
    "wasi:cli/exit",
    "wasi:cli/stdin",
    "wasi:cli/stdout",
    "wasi:cli/stderr",
    "wasi:cli/terminal-input",
    "wasi:cli/terminal-output",
    "wasi:cli/terminal-stdin",
    "wasi:cli/terminal-stdout",
    "wasi:cli/terminal-stderr",
    "wasi:clocks/monotonic-clock",
    "wasi:clocks/wall-clock",
    "wasi:clocks/timezone",
    "wasi:random/random",
    "wasi:random/insecure",
    "wasi:random/insecure-seed",
    "wasi:filesystem/types",
    // Its list is empty, and without an entry of it nothing can be opened.
    "wasi:filesystem/preopens",
    "wasi:cli/types",
];

/// Whether an import is an interface of this WASI.
pub(crate) fn gives(import: &str) -> bool {
    interface(import).is_some()
}

fn interface(import: &str) -> Option<&'static str> {
    let (name, version) = import.split_once('@')?;
    let version: semver::Version = version.parse().ok()?;
    let known = version.major == 0 && version.minor == 2 && version.pre.is_empty();
    INTERFACES
        .into_iter()
        .find(|interface| known && *interface == name)
}

/// What the world is during one call.
#[derive(Debug)]
pub(crate) struct World {
    now: Instant,
    seed: [u8; 32],
    drawn: u64,
}

impl World {
    /// The world of an event, as one plugin sees it.
    pub fn of(now: Instant, source: &str, id: &str, plugin_digest: &str) -> World {
        let seed = Digest::of_parts([plugin_digest, source, id].map(str::as_bytes));
        World {
            now,
            seed: seed.0,
            drawn: 0,
        }
    }

    fn block(&mut self) -> [u8; 32] {
        let block = Sha256::new()
            .chain_update(self.seed)
            .chain_update(self.drawn.to_le_bytes())
            .finalize();
        self.drawn += 1;
        block.into()
    }

    fn number(&mut self) -> u64 {
        let [a, b, c, d, e, f, g, h, ..] = self.block();
        u64::from_le_bytes([a, b, c, d, e, f, g, h])
    }

    fn bytes(&mut self, count: u64) -> wasmtime::Result<Vec<u8>> {
        if count > RANDOM_BYTES_MAX {
            return Err(Unavailable {
                what: format!("{count} random bytes at once"),
            }
            .into());
        }
        let mut bytes = Vec::with_capacity(count as usize + 32);
        while (bytes.len() as u64) < count {
            bytes.extend(self.block());
        }
        bytes.truncate(count as usize);
        Ok(bytes)
    }

    /// Before 1970 there are no nanoseconds in WASI.
    fn nanoseconds(&self) -> u64 {
        u64::try_from(self.now.0)
            .unwrap_or(0)
            .saturating_mul(1_000_000)
    }
}

/// Random bytes of one draw. Hash seeds take 16.
const RANDOM_BYTES_MAX: u64 = 64 << 10;
/// What a stream says that it would take at once, in bytes.
const STREAM_BYTES: u64 = 4 << 10;

/// A plugin used what is not in its world.
#[derive(Debug, thiserror::Error)]
#[error("a plugin has no {what}")]
pub(crate) struct Unavailable {
    what: String,
}

// The resources of WASI. None has anything behind it but which of the two streams it is.
enum IoError {}
enum Pollable {}
enum InputStream {}
enum OutputStream {}
enum Terminal {}
enum Nothing {}

const STDOUT: u32 = 1;
const STDERR: u32 = 2;

#[derive(ComponentType, Lower, Lift)]
#[component(variant)]
enum StreamError {
    #[component(name = "last-operation-failed")]
    LastOperationFailed(Resource<IoError>),
    #[component(name = "closed")]
    Closed,
}

#[derive(ComponentType, Lower)]
#[component(record)]
struct Datetime {
    seconds: u64,
    nanoseconds: u32,
}

/// Defines exactly what a component imports of WASI, and nothing else.
pub(crate) fn define(
    linker: &mut Linker<Session>,
    component: &Component,
    engine: &Engine,
) -> wasmtime::Result<()> {
    for (name, import) in component.component_type().imports(engine) {
        let (Some(interface), ComponentItem::ComponentInstance(instance)) =
            (interface(name), import.ty)
        else {
            continue;
        };
        let mut defining = linker.instance(name)?;
        for (item, export) in instance.exports(engine) {
            match export.ty {
                ComponentItem::Resource(_) => {
                    defining.resource(item, resource(item), |_, _| Ok(()))?;
                }
                ComponentItem::ComponentFunc(_) => function(&mut defining, interface, item)?,
                _ => {}
            }
        }
    }
    Ok(())
}

/// The same resource appears under its name in every interface that speaks of it.
fn resource(name: &str) -> ResourceType {
    match name {
        "error" => ResourceType::host::<IoError>(),
        "pollable" => ResourceType::host::<Pollable>(),
        "input-stream" => ResourceType::host::<InputStream>(),
        "output-stream" => ResourceType::host::<OutputStream>(),
        "terminal-input" | "terminal-output" => ResourceType::host::<Terminal>(),
        _ => ResourceType::host::<Nothing>(),
    }
}

type At<'a> = StoreContextMut<'a, Session>;
type Done = wasmtime::Result<(Result<(), StreamError>,)>;
type Read = wasmtime::Result<(Result<Vec<u8>, StreamError>,)>;
type Stream = Resource<OutputStream>;

fn function(
    it: &mut LinkerInstance<'_, Session>,
    interface: &'static str,
    name: &str,
) -> wasmtime::Result<()> {
    match (interface.trim_start_matches("wasi:"), name) {
        ("cli/environment", "get-environment") => {
            it.func_wrap(name, |_: At, (): ()| Ok((Vec::<(String, String)>::new(),)))
        }
        ("cli/environment", "get-arguments") => {
            it.func_wrap(name, |_: At, (): ()| Ok((Vec::<String>::new(),)))
        }
        ("cli/environment", "initial-cwd") => {
            it.func_wrap(name, |_: At, (): ()| Ok((None::<String>,)))
        }
        ("filesystem/preopens", "get-directories") => it.func_wrap(name, |_: At, (): ()| {
            Ok((Vec::<(Resource<Nothing>, String)>::new(),))
        }),

        ("cli/stdin", "get-stdin") => it.func_wrap(name, |_: At, (): ()| {
            Ok((Resource::<InputStream>::new_own(0),))
        }),
        ("cli/stdout", "get-stdout") => {
            it.func_wrap(name, |_: At, (): ()| Ok((Stream::new_own(STDOUT),)))
        }
        ("cli/stderr", "get-stderr") => {
            it.func_wrap(name, |_: At, (): ()| Ok((Stream::new_own(STDERR),)))
        }
        ("cli/terminal-stdin" | "cli/terminal-stdout" | "cli/terminal-stderr", _) => {
            it.func_wrap(name, |_: At, (): ()| Ok((None::<Resource<Terminal>>,)))
        }

        ("clocks/monotonic-clock", "now") => {
            it.func_wrap(name, |at: At, (): ()| Ok((world(&at).nanoseconds(),)))
        }
        ("clocks/monotonic-clock", "resolution") => {
            it.func_wrap(name, |_: At, (): ()| Ok((1_000_000u64,)))
        }
        // Time stands still, so whoever waits for it is called at once.
        ("clocks/monotonic-clock", "subscribe-instant" | "subscribe-duration") => it
            .func_wrap(name, |_: At, (_,): (u64,)| {
                Ok((Resource::<Pollable>::new_own(0),))
            }),
        ("clocks/wall-clock", "now") => it.func_wrap(name, |at: At, (): ()| {
            let nanoseconds = world(&at).nanoseconds();
            let (seconds, rest) = (nanoseconds / 1_000_000_000, nanoseconds % 1_000_000_000);
            Ok((Datetime {
                seconds,
                nanoseconds: rest as u32,
            },))
        }),
        ("clocks/wall-clock", "resolution") => it.func_wrap(name, |_: At, (): ()| {
            Ok((Datetime {
                seconds: 0,
                nanoseconds: 1_000_000,
            },))
        }),

        ("random/random", "get-random-bytes")
        | ("random/insecure", "get-insecure-random-bytes") => it
            .func_wrap(name, |mut at: At, (count,): (u64,)| {
                Ok((world_mut(&mut at).bytes(count)?,))
            }),
        ("random/random", "get-random-u64") | ("random/insecure", "get-insecure-random-u64") => it
            .func_wrap(name, |mut at: At, (): ()| {
                Ok((world_mut(&mut at).number(),))
            }),
        ("random/insecure-seed", "insecure-seed") => it.func_wrap(name, |mut at: At, (): ()| {
            let world = world_mut(&mut at);
            Ok(((world.number(), world.number()),))
        }),

        ("io/poll", "poll") => it.func_wrap(name, |_: At, (all,): (Vec<Resource<Pollable>>,)| {
            Ok(((0..all.len() as u32).collect::<Vec<_>>(),))
        }),
        ("io/poll", "[method]pollable.ready") => {
            it.func_wrap(name, |_: At, (_,): (Resource<Pollable>,)| Ok((true,)))
        }
        ("io/poll", "[method]pollable.block") => {
            it.func_wrap(name, |_: At, (_,): (Resource<Pollable>,)| Ok(()))
        }
        ("io/error", "[method]error.to-debug-string") => it
            .func_wrap(name, |_: At, (_,): (Resource<IoError>,)| {
                Ok((String::from("closed"),))
            }),

        ("io/streams", "[method]input-stream.read" | "[method]input-stream.blocking-read") => it
            .func_wrap(name, |_: At, _: (Resource<InputStream>, u64)| -> Read {
                Ok((Err(StreamError::Closed),))
            }),
        ("io/streams", "[method]input-stream.subscribe") => it
            .func_wrap(name, |_: At, _: (Resource<InputStream>,)| {
                Ok((Resource::<Pollable>::new_own(0),))
            }),
        ("io/streams", "[method]output-stream.subscribe") => it
            .func_wrap(name, |_: At, _: (Stream,)| {
                Ok((Resource::<Pollable>::new_own(0),))
            }),
        ("io/streams", "[method]output-stream.check-write") => it
            .func_wrap(name, |_: At, _: (Stream,)| {
                Ok((Ok::<_, StreamError>(STREAM_BYTES),))
            }),
        ("io/streams", "[method]output-stream.flush" | "[method]output-stream.blocking-flush") => {
            it.func_wrap(name, |_: At, _: (Stream,)| -> Done { Ok((Ok(()),)) })
        }
        (
            "io/streams",
            "[method]output-stream.write" | "[method]output-stream.blocking-write-and-flush",
        ) => it.func_wrap(
            name,
            |mut at: At, (stream, bytes): (Stream, Vec<u8>)| -> Done {
                let level = if stream.rep() == STDERR {
                    Level::Error
                } else {
                    Level::Info
                };
                let log = &mut at.data_mut().log;
                if !log.is_full() {
                    log.stream(level, &bytes);
                }
                Ok((Ok(()),))
            },
        ),

        _ => {
            let what = format!("{interface} {name}");
            it.func_new(name, move |_, _, _, _| {
                Err(Unavailable { what: what.clone() }.into())
            })
        }
    }
}

fn world<'a>(at: &'a At<'_>) -> &'a World {
    at.data().world.as_ref().expect(LINKED)
}

fn world_mut<'a>(at: &'a mut At<'_>) -> &'a mut World {
    at.data_mut().world.as_mut().expect(LINKED)
}

const LINKED: &str = "a plugin that imports WASI has a world";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_looks_random_follows_from_event_and_plugin() {
        let draw = |source, id, plugin| {
            let mut world = World::of(Instant(0), source, id, plugin);
            (world.number(), world.bytes(40).unwrap())
        };
        let one = draw("till-1", "a", "sha256:1");
        assert_eq!(one, draw("till-1", "a", "sha256:1"));
        assert_ne!(one, draw("till-1", "b", "sha256:1"));
        assert_ne!(one, draw("till-1", "a", "sha256:2"));
        assert_ne!(
            one,
            draw("till-1a", "", "sha256:1"),
            "parts do not run into each other"
        );
        assert_eq!(one.1.len(), 40);
    }

    #[test]
    fn time_before_1970_is_the_beginning_of_time() {
        assert_eq!(World::of(Instant(-1), "s", "i", "d").nanoseconds(), 0);
        assert_eq!(
            World::of(Instant(2), "s", "i", "d").nanoseconds(),
            2_000_000
        );
    }

    #[test]
    fn other_generations_of_wasi_are_not_given() {
        for (import, given) in [
            ("wasi:io/streams@0.2.0", true),
            ("wasi:io/streams@0.2.12", true),
            ("wasi:io/streams@0.3.0", false),
            ("wasi:io/streams@0.2.0-rc-2023-11-10", false),
            ("wasi:io/streams", false),
            ("wasi:sockets/tcp@0.2.0", false),
        ] {
            assert_eq!(gives(import), given, "{import}");
        }
    }
}
