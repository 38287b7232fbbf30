//! Chores: what a shop does by itself while it is open, each at its own beat.
//!
//! They are tasks that borrow a thread while they look, so forty shops that have nothing to do cost
//! no thread, and one whose look takes long keeps no other shop waiting.

use std::time::Duration;
use tokio::runtime::Handle;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tracing::Span;

/// The chores of one shop.
pub struct Chores {
    runtime: Handle,
    stop: watch::Sender<bool>,
    tasks: Vec<JoinHandle<()>>,
}

/// Whether the shop is closing: a look that takes long asks now and then.
pub struct Closing(watch::Receiver<bool>);

impl Closing {
    pub fn is_near(&self) -> bool {
        *self.0.borrow()
    }
}

impl Chores {
    pub fn new(runtime: &Handle) -> Chores {
        Chores {
            runtime: runtime.clone(),
            stop: watch::Sender::new(false),
            tasks: Vec::new(),
        }
    }

    /// Looks at once, and again a beat after the end of each look. What it logs is said of the shop
    /// whose span is entered here.
    pub fn every(
        &mut self,
        beat: Duration,
        name: &'static str,
        mut look: impl FnMut(&Closing) + Send + 'static,
    ) {
        let mut stop = self.stop.subscribe();
        let shop = Span::current();
        self.tasks.push(self.runtime.spawn(async move {
            loop {
                let closing = Closing(stop.clone());
                let shop = shop.clone();
                let looked = tokio::task::spawn_blocking(move || {
                    shop.in_scope(|| look(&closing));
                    look
                });
                look = match looked.await {
                    Ok(look) => look,
                    Err(error) => {
                        tracing::error!(%error, "the {name} of a shop panicked, and does no more");
                        return;
                    }
                };
                tokio::select! {
                    () = tokio::time::sleep(beat) => {}
                    // An error is a shop that is gone.
                    _ = stop.wait_for(|stop| *stop) => return,
                }
            }
        }));
    }

    /// Waits until the looks that are under way have ended; there are no more after them.
    pub fn end(self) {
        self.stop.send_replace(true);
        self.runtime.block_on(async {
            for task in self.tasks {
                // A look that panicked is in the log.
                let _ = task.await;
            }
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicU32, Ordering};

    #[test]
    fn a_look_is_repeated_until_the_end_and_never_after_it() {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .enable_time()
            .build()
            .unwrap();
        let mut chores = Chores::new(runtime.handle());
        let looks = Arc::new(AtomicU32::new(0));
        let counted = Arc::clone(&looks);
        chores.every(Duration::from_millis(1), "count", move |_| {
            counted.fetch_add(1, Ordering::SeqCst);
        });
        // One that takes long ends early when the shop closes.
        chores.every(Duration::from_secs(60), "patience", |closing| {
            while !closing.is_near() {
                std::thread::sleep(Duration::from_millis(1));
            }
        });
        while looks.load(Ordering::SeqCst) < 3 {
            std::thread::yield_now();
        }
        chores.end();
        let after = looks.load(Ordering::SeqCst);
        std::thread::sleep(Duration::from_millis(20));
        assert_eq!(looks.load(Ordering::SeqCst), after);
    }
}
