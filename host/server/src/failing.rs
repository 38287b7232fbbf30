//! For how many customers each plugin fails: what decides when one is no longer called.

use parking_lot::Mutex;
use stampcard_pipeline::event::Instant;
use stampcard_pipeline::outcome::{Outcome, PluginView, Status};
use stampcard_pipeline::shop::{FailurePolicy, ThenWhat};
use std::collections::{HashMap, VecDeque};

/// What the lanes saw fail, lately.
#[derive(Default)]
pub struct Failing(Mutex<Seen>);

#[derive(Default)]
struct Seen {
    /// By the plugin's name and digest: who it failed for, and when it last did, oldest first. It
    /// holds as many as the policy asks for and no more.
    customers: HashMap<(String, String), VecDeque<(Instant, String)>>,
    verdicts: Vec<Verdict>,
}

/// A plugin that failed for as many customers as the shop puts up with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verdict {
    pub plugin: String,
    /// Of the version that failed: by now another one may be live.
    pub digest: String,
    /// What was seen, in words.
    pub reason: String,
}

impl Failing {
    /// Looks at what came of an event. The policy is asked for when something failed.
    pub fn decided(&self, outcome: &Outcome, policy: impl Fn() -> FailurePolicy, now: Instant) {
        // A duplicate repeats the answer of the first; nothing was called for it.
        if outcome.status == Status::Duplicate {
            return;
        }
        for call in outcome.plugins.iter().filter(|call| is_failure(call)) {
            let policy = policy();
            if let Some(customer) = &outcome.customer
                && policy.then != ThenWhat::Nothing
            {
                self.0.lock().count(call, &customer.id, policy, now);
            }
        }
    }

    /// What has come together since the last time.
    pub fn verdicts(&self) -> Vec<Verdict> {
        std::mem::take(&mut self.0.lock().verdicts)
    }
}

fn is_failure(call: &PluginView) -> bool {
    !matches!(call.status.as_str(), "ok" | "rejected" | "quarantined")
}

impl Seen {
    fn count(&mut self, call: &PluginView, customer: &str, policy: FailurePolicy, now: Instant) {
        let key = (call.name.clone(), call.digest.clone());
        let customers = self.customers.entry(key).or_default();
        let since = now.0 - i64::from(policy.minutes) * 60_000;
        customers.retain(|(at, known)| at.0 > since && known != customer);
        customers.push_back((now, customer.to_owned()));
        if customers.len() < policy.customers as usize {
            return;
        }
        customers.clear();
        self.verdicts.push(Verdict {
            plugin: call.name.clone(),
            digest: call.digest.clone(),
            reason: format!(
                "it failed for {} customers within {} minutes; the last time: {}",
                policy.customers,
                policy.minutes,
                call.message.as_deref().unwrap_or(&call.status)
            ),
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use stampcard_pipeline::outcome::CustomerNow;

    const POLICY: FailurePolicy = FailurePolicy {
        customers: 3,
        minutes: 10,
        then: ThenWhat::Quarantine,
    };

    fn outcome(customer: &str, status: &str) -> Outcome {
        Outcome {
            customer: Some(CustomerNow {
                id: customer.into(),
                tier: None,
                balance: 0,
                available: 0,
                store_credit: None,
                segments: Vec::new(),
            }),
            plugins: vec![PluginView {
                name: "points".into(),
                version: "1.0.0".into(),
                digest: "sha256:0".into(),
                role: "point-formula".into(),
                status: status.into(),
                message: Some("trapped: unreachable".into()),
                fuel: 1,
                micros: 1,
                instance: None,
            }],
            ..Outcome::default()
        }
    }

    fn verdicts(told: &[(&str, &str, i64)]) -> Vec<Verdict> {
        let failing = Failing::default();
        for (customer, status, minute) in told {
            failing.decided(
                &outcome(customer, status),
                || POLICY,
                Instant(minute * 60_000),
            );
        }
        failing.verdicts()
    }

    #[test]
    fn only_as_many_different_customers_within_the_time_come_to_a_verdict() {
        let one = verdicts(&[("a", "trap", 1), ("b", "fuel", 2), ("c", "trap", 10)]);
        assert_eq!(one.len(), 1);
        assert_eq!(
            one[0].reason,
            "it failed for 3 customers within 10 minutes; the last time: trapped: unreachable"
        );
        let same = [
            ("a", "trap", 1),
            ("a", "trap", 2),
            ("a", "trap", 3),
            ("b", "trap", 4),
        ];
        assert_eq!(verdicts(&same), []);
        assert_eq!(
            verdicts(&[("a", "trap", 1), ("b", "trap", 2), ("c", "trap", 11)]),
            []
        );
    }

    #[test]
    fn what_a_rule_refuses_never_counts() {
        let told = [
            ("a", "rejected", 1),
            ("b", "rejected", 1),
            ("c", "rejected", 1),
        ];
        assert_eq!(verdicts(&told), []);
        let told = [("a", "quarantined", 1), ("b", "ok", 1), ("c", "trap", 1)];
        assert_eq!(verdicts(&told), []);
    }
}
