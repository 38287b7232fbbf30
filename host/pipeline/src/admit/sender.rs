//! Who tells us, and what they may tell.

use crate::refusal::Refusal;
use crate::shop::{ACTS_OF_STAFF, SetBy, Shop};
use std::sync::Arc;

/// What a second person says about a large redemption. No shop lets a till do that.
const APPROVALS: [&str; 2] = ["redemption.approved", "redemption.denied"];

/// Who sent an event: a key, or whoever runs an import on the machine itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sender {
    pub kind: SenderKind,
    /// What people call it. Acts of staff that name nobody else are done by it.
    pub name: Arc<str>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SenderKind {
    /// A till or a web store.
    Pos,
    /// People of the shop, and the systems that act for them.
    Staff,
    /// Whoever runs the server.
    Operator,
}

impl Sender {
    pub fn new(kind: SenderKind, name: &str) -> Sender {
        let name = name.into();
        Sender { kind, name }
    }

    pub fn operator(name: &str) -> Sender {
        Sender::new(SenderKind::Operator, name)
    }

    /// A till may not do what only staff may, except where the shop says so.
    pub(super) fn check_may_send(&self, kind: &str, shop: &Shop) -> Result<(), Refusal> {
        let is_opened = || {
            shop.file
                .policies
                .pos_may
                .iter()
                .any(|opened| opened == kind)
        };
        let is_staffs = ACTS_OF_STAFF.contains(&kind) || APPROVALS.contains(&kind);
        if self.kind == SenderKind::Pos && is_staffs && !is_opened() {
            return Err(Refusal::Forbidden {
                code: "staff-only",
                at: "/type".into(),
                problem: format!(
                    "{kind} is an act of staff, and this is a key of a till; send it with a key of staff, or open it with \
                     policies.pos_may in merchant.toml"
                ),
            });
        }
        Ok(())
    }

    /// As whom the registry of tags knows it; the operator may do everything.
    pub(super) fn sets_tags_as(&self) -> Option<SetBy> {
        match self.kind {
            SenderKind::Pos => Some(SetBy::Pos),
            SenderKind::Staff => Some(SetBy::Staff),
            SenderKind::Operator => None,
        }
    }
}
