//! How long answers took, in rounds that take turns with others.
//!
//! A disk that stands still for a moment, or a machine that does something else, ruins one round and
//! not the one after it; what somebody causes is in all of them. So the figure is that of the middle
//! round: of a hundred answers, the ninety-ninth.

use std::time::Duration;

#[derive(Default)]
pub struct Rounds(Vec<Vec<Duration>>);

impl Rounds {
    pub fn push(&mut self, waits: Vec<Duration>) {
        self.0.push(waits);
    }

    pub fn samples(&self) -> usize {
        self.0.iter().map(Vec::len).sum()
    }

    /// Of a hundred answers of the middle round, the ninety-ninth.
    ///
    /// # Panics
    /// If there was no round.
    pub fn typical(&self) -> Duration {
        let rounds = self.ninety_ninths();
        rounds[rounds.len() / 2]
    }

    /// The same of the calmest round. What else runs on the machine can only add to it.
    ///
    /// # Panics
    /// If there was no round.
    pub fn calmest(&self) -> Duration {
        self.ninety_ninths()[0]
    }

    fn ninety_ninths(&self) -> Vec<Duration> {
        let mut rounds: Vec<Duration> = self.0.iter().map(|waits| ninety_ninth(waits)).collect();
        rounds.sort();
        rounds
    }
}

fn ninety_ninth(waits: &[Duration]) -> Duration {
    let mut waits = waits.to_vec();
    waits.sort();
    waits[(waits.len() - 1) * 99 / 100]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_round_that_stood_still_is_one_of_many() {
        let round = |slowest: u64| {
            let mut waits = vec![Duration::from_millis(1); 150];
            waits[..3].fill(Duration::from_millis(slowest));
            waits
        };
        let mut rounds = Rounds::default();
        for slowest in [7, 5, 900, 6, 8] {
            rounds.push(round(slowest));
        }
        assert_eq!(rounds.samples(), 750);
        assert_eq!(rounds.typical(), Duration::from_millis(7));
        assert_eq!(rounds.calmest(), Duration::from_millis(5));
    }
}
