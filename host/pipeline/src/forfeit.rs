//! Forfeiture: points that a customer loses because staff says so, or because the person is forgotten.
//!
//! What is set aside for something stays theirs until that is over, and nobody loses more than is there.
//! What is lost this way is lost like points that were not used in time: a return does not take it again.

use crate::event::{Body, Forfeit};
use crate::redemption;
use crate::walk::{Step, Walk};

/// Takes what the event says is lost.
pub(crate) fn take(walk: &mut Walk, step: &mut Step) {
    let event = step.event.clone();
    match &event.body {
        Body::Forfeit(Forfeit { points, reason }) => {
            let wanted = points.unwrap_or(walk.fold.points.balance);
            let lost = walk.forfeit(step, wanted, reason);
            if lost < wanted {
                step.note(format!(
                    "{lost} of {wanted} points were there and not set aside"
                ));
            }
        }
        // Nobody can spend them any more. Credit is the person's own money, and stays on the books.
        Body::Erasure(_) => {
            let why = "the person is forgotten";
            redemption::cancel_all(walk, step, why);
            let all = walk.fold.points.balance;
            walk.forfeit(step, all, why);
        }
        _ => {}
    }
}
