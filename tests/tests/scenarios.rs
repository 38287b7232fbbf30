//! Plays every story of `tests/scenarios`, each as a test of its own name.

use libtest_mimic::{Arguments, Trial};
use stampcard_tests::story;

fn main() {
    let arguments = Arguments::from_args();
    let trials = story::load_all()
        .into_iter()
        .map(|(name, story)| Trial::test(name, move || story.play().map_err(Into::into)))
        .collect();
    libtest_mimic::run(&arguments, trials).exit();
}
