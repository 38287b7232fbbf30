//! `stampcard edge`: a copy of the shop for a store that may lose its line.

use super::serve::serve_copy;
use super::{End, Run, say};
use crate::config::LogFile;
use crate::edge::Edge as Copied;
use crate::log;
use clap::Args;
use stampcard_pipeline::calendar;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;

/// Stand in for the server at a store that may lose its line: a copy of the shop, made of a backup, that
/// answers tills by the same rules.
///
/// A till asks it in the same words and with the same key as the server, takes the points of a sale from its
/// answer, and tells the server of the sale when there is a line again, with what the customer was told as
/// `told_points`; the server's answer says how that differs. The copy knows what there was when the backup was
/// made and what its own tills tell it; its answers say so. It redeems nothing: a till that may lose its line
/// asks for an allowance before. When it is stopped, everything in it is gone.
#[derive(Args)]
#[command(
    after_help = "Examples:\n  stampcard backup shop night.tar && stampcard edge night.tar\n  stampcard edge night.tar --listen 0.0.0.0:8379"
)]
pub struct Edge {
    /// The file that `stampcard backup` wrote.
    backup: PathBuf,
    /// Address and port; port 0 takes a free one.
    #[arg(long, default_value_t = LISTEN)]
    listen: SocketAddr,
}

/// Beside the ports of a shop and of a sandbox.
const LISTEN: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::LOCALHOST), 8379);

impl Edge {
    pub fn run(self) -> Run {
        log::start(&LogFile::default(), None)?;
        let copy = Copied::of(&self.backup)?;
        let as_of = copy.as_of;
        say(format_args!(
            "a copy of the shop as of {}",
            calendar::text(as_of)
        ))?;
        serve_copy(&copy.folder(), self.listen, as_of)?;
        Ok(End::Done)
    }
}
