//! Plugins that fail for too many customers: not called any more, or back to the version before, as
//! the shop's policy has it. What they missed is made good when they are mended or released.

use super::going_live::Going;
use super::{Installed, Merchant, NotLive};
use crate::chores::Chores;
use crate::failing::Verdict;
use stampcard_pipeline::rules::{Isolation, Rules};
use stampcard_pipeline::shop::{Shop, ThenWhat};
use stampcard_store::{By, Origin};
use std::sync::Arc;
use std::time::Duration;

/// Who brings back an earlier version when the shop's policy says so.
const HOST: &str = "stampcard";

/// How often somebody looks whether a plugin has failed too often.
const BEAT: Duration = Duration::from_secs(1);

/// Does with plugins that fail what the shop's policy says, for as long as the shop is open.
pub(super) fn judge_while_open(chores: &mut Chores, merchant: &Arc<Merchant>) {
    let merchant = Arc::downgrade(merchant);
    let mut has_looked_back = false;
    chores.every(BEAT, "judge of plugins", move |_| {
        if let Some(merchant) = merchant.upgrade() {
            if !std::mem::replace(&mut has_looked_back, true) {
                merchant.look_back();
            }
            merchant.judge();
        }
    });
}

impl Merchant {
    /// Does what the shop's policy says with plugins that failed too often, and lets those fall back
    /// whose kept instances remember.
    pub(crate) fn judge(&self) {
        self.judge_kept();
        for verdict in self.desk.failing.verdicts() {
            let Verdict { plugin, reason, .. } = &verdict;
            let policy = self.live().shop.file.failures.then;
            if policy == ThenWhat::RollBack {
                match self.bring_back_older(&verdict) {
                    Ok(Some(older)) => {
                        tracing::error!(
                            plugin,
                            reason,
                            version = older.version,
                            revision = older.revision,
                            "a plugin fails; the version before it is live again"
                        );
                        continue;
                    }
                    Ok(None) => continue,
                    Err(NotLive::NoEarlier { .. }) => {}
                    Err(error) => {
                        tracing::error!(plugin, %error, "the version before it cannot be brought back")
                    }
                }
            }
            match self.quarantine(&verdict) {
                Ok(None) => {}
                Ok(Some(revision)) => {
                    tracing::error!(
                        plugin,
                        reason,
                        revision,
                        "a plugin fails and is quarantined"
                    );
                }
                Err(error) => {
                    tracing::error!(plugin, %error, "a plugin fails and cannot be quarantined")
                }
            }
        }
    }

    /// `None` if another version is live by now.
    fn quarantine(&self, verdict: &Verdict) -> Result<Option<i64>, NotLive> {
        let _changing = self.changing.lock();
        if !self.still_fails(verdict) {
            return Ok(None);
        }
        let by = By {
            origin: Origin::Quarantine,
            actor: String::new(),
            reason: format!("{}: {}", verdict.plugin, verdict.reason),
        };
        let installed = self.call_or_not(&verdict.plugin, Some(verdict.reason.clone()), &by)?;
        Ok(Some(installed.revision))
    }

    /// `None` if another version is live by now.
    fn bring_back_older(&self, verdict: &Verdict) -> Result<Option<Installed>, NotLive> {
        // What an operator installs meanwhile must not give way to it.
        let _changing = self.changing.lock();
        if !self.still_fails(verdict) {
            return Ok(None);
        }
        let by = By {
            origin: Origin::Rollback,
            actor: HOST.into(),
            reason: format!("{}: {}", verdict.plugin, verdict.reason),
        };
        let older = self.older(&verdict.plugin)?;
        self.put_held(older, &by).map(Some)
    }

    fn still_fails(&self, verdict: &Verdict) -> bool {
        let live = self.live();
        let mut plugins = live.book.plugins().iter();
        plugins.any(|plugin| {
            plugin.name == verdict.plugin
                && plugin.digest == verdict.digest
                && plugin.quarantine.is_none()
        })
    }

    /// Lets a quarantined plugin be called again as it is, and one that was found out keep instances
    /// again. What it missed is asked for again.
    pub fn release(&self, name: &str, actor: &str, reason: &str) -> Result<Installed, NotLive> {
        let _changing = self.begin_change();
        let live = self.live();
        let mut plugins = live.book.plugins().iter();
        match plugins.find(|plugin| plugin.name == name) {
            None => return Err(self.no_plugin(name)),
            Some(plugin)
                if plugin.quarantine.is_none() && plugin.isolation.found_out().is_none() =>
            {
                return Err(NotLive::NotQuarantined { name: name.into() });
            }
            Some(_) => {}
        }
        let by = By {
            origin: Origin::Release,
            actor: actor.into(),
            reason: reason.into(),
        };
        self.call_or_not(name, None, &by)
    }

    /// With `changing` held.
    fn call_or_not(
        &self,
        name: &str,
        quarantine: Option<String>,
        by: &By,
    ) -> Result<Installed, NotLive> {
        let live = self.live();
        let is_release = quarantine.is_none();
        let book = live.book.with_quarantine(name, quarantine);
        let mut book = book.ok_or_else(|| self.no_plugin(name))?;
        let mut plugins = book.plugins().iter();
        let is_found_out = plugins.any(|it| it.name == name && it.isolation.found_out().is_some());
        if is_release && is_found_out {
            let again = book.with_isolation(name, Isolation::VerifiedReuse);
            book = again.ok_or_else(|| self.no_plugin(name))?;
        }
        let shop =
            Shop::new(live.shop.file.clone()).map_err(crate::recorded::RecordedError::Shop)?;
        let going = Going::as_it_is(shop, book);
        self.go(going, by, name)
    }
}
