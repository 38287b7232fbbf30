//! `stampcard sandbox`: a shop to try things out in.

use super::serve::serve_one;
use super::{End, Run, say, say_json};
use crate::config::{Folder, LogFile};
use crate::log;
use crate::sandbox::Sandbox as Room;
use clap::Args;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;

/// Open a copy of a shop to try things out in: its rules as the files have them, over an empty database,
/// with a key for each channel.
///
/// The shop itself is not touched and may be open. When the sandbox is stopped, everything in it is
/// gone.
#[derive(Args)]
#[command(
    after_help = "Examples:\n  stampcard sandbox shop\n  stampcard sandbox shop --listen 127.0.0.1:0 --json"
)]
pub struct Sandbox {
    /// The shop's folder.
    dir: PathBuf,
    /// Address and port; port 0 takes a free one.
    #[arg(long, default_value_t = LISTEN)]
    listen: SocketAddr,
    /// Print the keys as one JSON object.
    #[arg(long)]
    json: bool,
}

/// Beside the port of a shop.
const LISTEN: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::LOCALHOST), 8378);

impl Sandbox {
    pub fn run(self) -> Run {
        log::start(&LogFile::default(), None)?;
        let room = Room::of(&Folder::of_one(&self.dir)?)?;
        if self.json {
            say_json(&room.keys)?;
        } else {
            say(format_args!(
                "Keys of this sandbox, which end with it:\n  till      {}\n  web       {}\n  operator  {}",
                room.keys.till, room.keys.web, room.keys.operator
            ))?;
        }
        serve_one(&Folder::at(room.dir()), self.listen)?;
        Ok(End::Done)
    }
}
