//! The event that this thread is deciding: its translation, made once for all plugins, and the
//! fuel that is left for it.

use crate::bindings as wit;
use crate::limits::EVENT_FUEL;
use crate::to_contract::{self, Numbers};
use stampcard_pipeline::event::Event;
use stampcard_pipeline::rules::{Input, Role};
use std::cell::RefCell;
use std::sync::Arc;

thread_local! {
    static DECIDING: RefCell<Option<Deciding>> = const { RefCell::new(None) };
}

struct Deciding {
    /// Kept, so that no other event can have its address.
    event: Arc<Event>,
    translated: wit::Event,
    /// Whether all its numbers are exact in every language.
    exact: bool,
    fuel_left: u64,
    /// The last call of this pass.
    last: Turn,
}

/// Whose turn a call is: its role, and the plugin's place in the rule book.
pub(crate) type Turn = (Role, usize);

/// What a call is given.
pub(crate) struct Turned {
    pub input: wit::Input,
    /// Of the event's fuel.
    pub fuel_left: u64,
    /// Whether all numbers of the input are exact in every language.
    pub exact: bool,
}

/// Makes the input of a call, lets `call` have it, and books the fuel that it says it used.
///
/// The line goes through roles and plugins in one order. A call that does not come after the last
/// one of the same event begins a new pass, which has the event's whole fuel again: deciding an
/// event twice gives the same answers twice.
pub(crate) fn turn<T>(
    event: &Arc<Event>,
    currency: &str,
    given: &Input,
    turn: Turn,
    call: impl FnOnce(&Turned) -> (T, u64),
) -> T {
    let same = |deciding: &Deciding| Arc::ptr_eq(&deciding.event, event);
    let deciding = DECIDING
        .take()
        .filter(same)
        .unwrap_or_else(|| Deciding::begin(event, currency, turn));
    let fuel_left = if turn > deciding.last {
        deciding.fuel_left
    } else {
        EVENT_FUEL
    };
    let mut numbers = Numbers::default();
    let turned = Turned {
        input: to_contract::input(deciding.translated, currency, given, &mut numbers),
        fuel_left,
        exact: deciding.exact && numbers.are_exact(),
    };
    let (answer, used) = call(&turned);
    DECIDING.set(Some(Deciding {
        translated: turned.input.event,
        fuel_left: fuel_left.saturating_sub(used),
        last: turn,
        ..deciding
    }));
    answer
}

impl Deciding {
    fn begin(event: &Arc<Event>, currency: &str, turn: Turn) -> Deciding {
        let mut numbers = Numbers::default();
        Deciding {
            translated: to_contract::event(event, currency, &mut numbers),
            exact: numbers.are_exact(),
            event: Arc::clone(event),
            fuel_left: EVENT_FUEL,
            last: turn,
        }
    }
}
