//! Tickets: what the changes of one group wait on.

use parking_lot::{Condvar, Mutex};
use stampcard_pipeline::store::{Durable, StoreError};
use std::sync::Arc;

#[derive(Default)]
pub(crate) struct Ticket {
    state: Mutex<TicketState>,
    settled: Condvar,
}

type Callback = Box<dyn FnOnce(Result<(), StoreError>) + Send>;

#[derive(Default)]
struct TicketState {
    result: Option<Result<(), StoreError>>,
    callbacks: Vec<Callback>,
}

impl Ticket {
    /// Tells everybody, without any lock: who is told may come back to the store.
    pub fn settle(&self, result: Result<(), StoreError>) {
        let callbacks = {
            let mut state = self.state.lock();
            state.result = Some(result.clone());
            self.settled.notify_all();
            std::mem::take(&mut state.callbacks)
        };
        for callback in callbacks {
            callback(result.clone());
        }
    }

    pub fn is_settled(&self) -> bool {
        self.state.lock().result.is_some()
    }

    pub fn wait(&self) -> Result<(), StoreError> {
        let mut state = self.state.lock();
        loop {
            if let Some(result) = &state.result {
                return result.clone();
            }
            self.settled.wait(&mut state);
        }
    }

    fn then(&self, callback: Callback) {
        let mut state = self.state.lock();
        match state.result.clone() {
            Some(result) => {
                drop(state);
                callback(result);
            }
            None => state.callbacks.push(callback),
        }
    }
}

/// The promise of one change.
pub(crate) struct Promise(pub Arc<Ticket>);

impl Durable for Promise {
    fn wait(self: Box<Self>) -> Result<(), StoreError> {
        self.0.wait()
    }

    fn then(self: Box<Self>, done: Callback) {
        self.0.then(done);
    }
}
