//! The disk under a folder.

use std::fs::File;
use std::io;
use std::path::Path;

/// What a disk has, in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Room {
    /// What this user may still write.
    pub free: u64,
    pub all: u64,
}

/// The room on the disk that holds a folder.
pub fn room(folder: &Path) -> io::Result<Room> {
    let found = rustix::fs::statvfs(folder)?;
    Ok(Room {
        free: found.f_bavail * found.f_frsize,
        all: found.f_blocks * found.f_frsize,
    })
}

/// Whether this user may write into a folder, on a disk that takes writes.
pub fn may_write(folder: &Path) -> io::Result<()> {
    Ok(rustix::fs::access(
        folder,
        rustix::fs::Access::WRITE_OK | rustix::fs::Access::EXEC_OK,
    )?)
}

/// The names in a folder are on the disk when this returns.
pub fn flush_folder(folder: &Path) -> io::Result<()> {
    File::open(folder)?.sync_all()
}
