//! A disk that keeps only what was synced, for the files of one shop: `kill -9` leaves what the
//! system holds in memory, and a power cut does not.
//!
//! A file system of our own would need FUSE and the right to use it, and a layer of SQLite's would
//! miss what the store syncs by itself. So the server runs with `tests/disk/forgetful.c` between it
//! and the C library, which notes what is written and copies it aside when it is synced; the
//! file's head says how. Nothing of the server is built otherwise for it.

use crate::{Server, Shop};
use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use tempfile::TempDir;

pub struct ForgetfulDisk {
    folder: PathBuf,
    layer: PathBuf,
    kept: TempDir,
    lies: bool,
}

impl ForgetfulDisk {
    /// Under a shop that is not open. What it has is on the disk.
    ///
    /// # Panics
    /// If the layer cannot be compiled, or the files not be copied.
    #[track_caller]
    pub fn under(shop: &Shop) -> ForgetfulDisk {
        let folder = fs::canonicalize(shop.path("data")).expect("the shop has a folder for data");
        let kept = tempfile::Builder::new()
            .prefix("stampcard-disk-")
            .tempdir()
            .expect("a temporary folder");
        let layer = kept.path().join("forgetful.so");
        let source = crate::binary::root().join("tests/disk/forgetful.c");
        let compiler = std::env::var_os("CC").unwrap_or_else(|| "cc".into());
        let compiled = Command::new(compiler)
            .args([
                "-shared", "-fPIC", "-O1", "-Wall", "-Wextra", "-Werror", "-o",
            ])
            .args([&layer, &source])
            .status();
        assert!(
            compiled.is_ok_and(|status| status.success()),
            "{} cannot be compiled",
            source.display()
        );
        let disk = ForgetfulDisk {
            folder,
            layer,
            kept,
            lies: false,
        };
        for kind in ["content", "names"] {
            fs::create_dir(disk.kept(kind)).expect("a folder");
        }
        for file in files(&disk.folder) {
            let name = file.file_name().expect("files have names");
            fs::copy(&file, disk.kept("content").join(name)).expect("a copy");
            fs::write(disk.kept("names").join(name), "").expect("a file");
        }
        disk
    }

    /// The same, but a sync does nothing and says that all is well.
    #[track_caller]
    pub fn that_lies_under(shop: &Shop) -> ForgetfulDisk {
        ForgetfulDisk {
            lies: true,
            ..ForgetfulDisk::under(shop)
        }
    }

    /// A server of the shop, on this disk.
    #[track_caller]
    pub fn serve(&self, shop: &Shop) -> Server {
        let mut environment = vec![
            ("LD_PRELOAD", self.layer.as_os_str()),
            ("FORGETFUL_FOLDER", self.folder.as_os_str()),
            ("FORGETFUL_KEPT", self.kept.path().as_os_str()),
        ];
        if self.lies {
            environment.push(("FORGETFUL_LIES", OsStr::new("1")));
        }
        Server::start_in(&shop.dir, &shop.keys, &[], &environment)
    }

    /// Ends the server in the middle of what it does, and takes from the shop's files whatever was
    /// not synced by then: bytes, lengths and names.
    ///
    /// # Panics
    /// If a file cannot be put back.
    #[track_caller]
    pub fn cut_power(&self, server: Server) {
        server.kill();
        for file in files(&self.folder) {
            fs::remove_file(file).expect("a file goes");
        }
        for name in files(&self.kept("names")) {
            let name = name.file_name().expect("files have names");
            let content = self.kept("content").join(name);
            // A name may be safe before anything in it is.
            let bytes = fs::read(content).unwrap_or_default();
            fs::write(self.folder.join(name), bytes).expect("a file comes back");
        }
    }

    /// What is safe of a file, in bytes.
    pub fn is_safe(&self, name: &str) -> u64 {
        let kept = fs::metadata(self.kept("content").join(name));
        kept.map_or(0, |kept| kept.len())
    }

    fn kept(&self, kind: &str) -> PathBuf {
        self.kept.path().join(kind)
    }
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let entries =
        fs::read_dir(folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    let paths = entries.map(|entry| entry.expect("an entry").path());
    paths.filter(|path| path.is_file()).collect()
}
