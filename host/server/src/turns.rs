//! Turns: how many events of all shops of a process are decided at the same time.
//!
//! Each shop has lanes of its own, and the system divides the processors among those that have
//! something to do: a shop whose plugin never ends takes its share and no more, and one that wakes
//! for a single sale comes first. A turn bounds how many of them there are at once, because each
//! takes a slot of the engine, and because a plugin's deadline is measured on the wall clock: among
//! a hundred that run it would come too soon for an honest one. Turns are given in the order in
//! which lanes ask, and a lane gives its turn back after each event, so that no shop has two before
//! another has one, whatever waits in its queue.

use parking_lot::{Condvar, Mutex};
use stampcard_runtime::limits::{CALLS_AT_ONCE, CALLS_BESIDE_EVENTS};
use std::collections::VecDeque;
use std::sync::Arc;

/// Turns for each processor. A call that uses all the fuel of a default plugin takes 10 ms of a
/// processor and has 250 ms; with eight at once on each it has three times what it needs.
const FOR_A_PROCESSOR: usize = 8;
/// Fewer would make one shop wait for another on a machine with one processor.
const AT_LEAST: usize = 16;

/// The turns of a process.
pub struct Turns {
    line: Mutex<Line>,
}

struct Line {
    free: usize,
    /// In the order in which they asked.
    waiting: VecDeque<Arc<Waiting>>,
}

#[derive(Default)]
struct Waiting {
    has_turn: Mutex<bool>,
    given: Condvar,
}

/// One turn; it is given back when it is dropped.
pub struct Turn<'a>(&'a Turns);

impl Turns {
    /// As many as this machine and the engine have room for.
    pub fn of_this_machine() -> Turns {
        let processors = std::thread::available_parallelism().map_or(2, usize::from);
        let slots = (CALLS_AT_ONCE - CALLS_BESIDE_EVENTS) as usize;
        Turns::new((processors * FOR_A_PROCESSOR).clamp(AT_LEAST, slots))
    }

    fn new(turns: usize) -> Turns {
        Turns {
            line: Mutex::new(Line {
                free: turns,
                waiting: VecDeque::new(),
            }),
        }
    }

    /// Waits for a turn.
    pub fn take(&self) -> Turn<'_> {
        let mut line = self.line.lock();
        if line.free > 0 {
            line.free -= 1;
            return Turn(self);
        }
        let waiting = Arc::new(Waiting::default());
        line.waiting.push_back(Arc::clone(&waiting));
        drop(line);
        let mut has_turn = waiting.has_turn.lock();
        while !*has_turn {
            waiting.given.wait(&mut has_turn);
        }
        Turn(self)
    }
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        let mut line = self.0.line.lock();
        // Handed over, so that nobody who comes later is faster.
        match line.waiting.pop_front() {
            Some(next) => {
                *next.has_turn.lock() = true;
                next.given.notify_one();
            }
            None => line.free += 1,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::mpsc;

    #[test]
    fn turns_are_given_in_the_order_in_which_they_were_asked_for() {
        let turns = Turns::new(1);
        let first = turns.take();
        let (tell, told) = mpsc::channel();
        std::thread::scope(|scope| {
            for number in 0..5 {
                let (tell, turns) = (tell.clone(), &turns);
                scope.spawn(move || {
                    let _turn = turns.take();
                    tell.send(number).unwrap();
                });
                while turns.line.lock().waiting.len() <= number {
                    std::thread::yield_now();
                }
            }
            drop(first);
        });
        drop(tell);
        assert_eq!(told.iter().collect::<Vec<_>>(), [0, 1, 2, 3, 4]);
        assert_eq!(turns.line.lock().free, 1);
    }

    #[test]
    fn whoever_has_no_turn_waits_and_a_turn_comes_back_from_a_panic() {
        let turns = Turns::new(2);
        let (one, _other) = (turns.take(), turns.take());
        std::thread::scope(|scope| {
            let third = scope.spawn(|| drop(turns.take()));
            while turns.line.lock().waiting.is_empty() {
                std::thread::yield_now();
            }
            assert!(!third.is_finished());
            let panicked = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
                let _turn = one;
                panic!("a bug");
            }));
            assert!(panicked.is_err());
        });
        assert_eq!(turns.line.lock().free, 1);
    }

    #[test]
    fn all_turns_together_leave_slots_of_the_engine_free() {
        let turns = Turns::of_this_machine();
        let free = turns.line.lock().free;
        assert!(free >= AT_LEAST && free < CALLS_AT_ONCE as usize, "{free}");
    }
}
