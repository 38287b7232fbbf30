//! `stampcard pack`: plugins that travel together, from their projects to a shop that trusts whoever
//! signed them.

mod building;
mod installing;
mod signing;
mod status;
mod transfer;

use super::Run;
use super::plugin::project::read;
use crate::packs::{ContentsError, PACK_BYTES_MAX};
use clap::Subcommand;
use std::error::Error;
use std::fs;
use std::path::Path;

/// Make packs of plugins, sign them, send them, bring them live.
#[derive(Subcommand)]
pub enum PackCommand {
    New(building::New),
    Build(building::Build),
    Key(signing::Key),
    Sign(signing::Sign),
    Verify(signing::Verify),
    Push(transfer::Push),
    Pull(transfer::Pull),
    Install(installing::Install),
    List(status::List),
    Status(status::Status),
    Remove(installing::Remove),
}

impl PackCommand {
    pub fn run(self) -> Run {
        crate::log::start_at("warn")?;
        match self {
            PackCommand::New(new) => new.run(),
            PackCommand::Build(build) => build.run(),
            PackCommand::Key(key) => key.run(),
            PackCommand::Sign(sign) => sign.run(),
            PackCommand::Verify(verify) => verify.run(),
            PackCommand::Push(push) => push.run(),
            PackCommand::Pull(pull) => pull.run(),
            PackCommand::Install(install) => install.run(),
            PackCommand::List(list) => list.run(),
            PackCommand::Status(status) => status.run(),
            PackCommand::Remove(remove) => remove.run(),
        }
    }
}

/// The bytes of a pack's file, unless there are more than a pack has.
pub fn pack_file(path: &Path) -> Result<Vec<u8>, Box<dyn Error>> {
    let bytes = fs::metadata(path).map_or(0, |found| found.len() as usize);
    if bytes > PACK_BYTES_MAX {
        return Err(ContentsError::TooLarge { bytes }.into());
    }
    Ok(read(path)?)
}
