//! Other rules go live: whoever they may affect is asked again, what was missed is made good, and
//! what removed rules left behind ends.

use crate::native_rules::{award, member, plugin};
use crate::{Bench, sale};
use stampcard_pipeline::calendar;
use stampcard_pipeline::change::{EntryKind, Planned};
use stampcard_pipeline::event::{Position, RulesChanged};
use stampcard_pipeline::outcome::Status;
use stampcard_pipeline::rules::{
    After, Amount, Failure, Input, Placement, PointAnswer, ReviewCause, Role, SegmentAnswer,
    TierAnswer,
};
use stampcard_pipeline::shop::Late;

const ANA: &str = "ana@example.com";

fn asks(plugins: &[&str]) -> RulesChanged {
    RulesChanged {
        rule_book: 2,
        asks: plugins.iter().map(|name| (*name).to_owned()).collect(),
        again_from: None,
    }
}

fn place_of(id: &str, time: &str) -> Position {
    Position {
        at: calendar::parse(time).unwrap(),
        source: "till-1".into(),
        id: id.into(),
    }
}

/// A shop where Ana bought for 600.00, and so is gold.
fn with_ana() -> Bench {
    let bench = Bench::new();
    let bought = sale("s1", "2024-05-01T10:00:00Z", ANA, 60_000);
    bench.tell(&bought).unwrap();
    bench
}

fn journal_rows(bench: &Bench) -> usize {
    bench.store.inner.borrow().journal.len()
}

#[test]
fn a_rule_that_changed_is_asked_with_the_reason_and_what_it_says_counts() {
    let mut bench = with_ana();
    bench.rules.segments = Box::new(|event, input: &Input| {
        let is_member = event.kind == "review.due" && input.review == [ReviewCause::RulesChanged];
        let memberships = vec![member("regular", is_member)];
        Ok(SegmentAnswer {
            memberships,
            ..SegmentAnswer::default()
        })
    });
    // It does not subscribe to reviews, and is asked for all that.
    bench.rules.plugins[0].events = vec!["sale.completed".into()];
    let outcome = bench.ask_again("2024-05-02T10:00:00Z", asks(&["segments"]));
    assert_eq!(outcome.segments.entered, ["regular"]);
    assert_eq!(outcome.status, Status::Applied);
    assert!(outcome.points.is_empty(), "nobody buys by being asked");
    let again = bench.ask_again("2024-05-02T11:00:00Z", asks(&["segments"]));
    assert_eq!(again.status, Status::Duplicate, "once for each rule book");
    let then = sale("s2", "2024-05-03T10:00:00Z", ANA, 1_000);
    assert_eq!(bench.tell(&then).unwrap().segments.left, ["regular"]);
}

#[test]
fn new_rules_that_change_nothing_for_a_customer_leave_nothing_behind() {
    let bench = with_ana();
    let before = bench.store.only_customer(|ana| ana.head.clone());
    let rows = journal_rows(&bench);
    let outcome = bench.ask_again("2024-05-01T11:00:00Z", asks(&["segments", "tiers"]));
    assert_eq!(outcome.customer.unwrap().tier.as_deref(), Some("gold"));
    assert_eq!(journal_rows(&bench), rows);
    bench
        .store
        .only_customer(|ana| assert_eq!(ana.head, before));
}

#[test]
fn a_removed_rule_ends_its_memberships_its_timers_and_its_unsent_messages() {
    let mut bench = with_ana();
    let gone = ["segments", "follow-ups"];
    bench
        .rules
        .plugins
        .retain(|plugin| !gone.contains(&plugin.name.as_str()));
    let outcome = bench.ask_again("2024-05-01T11:00:00Z", asks(&[]));
    assert_eq!(outcome.segments.left, ["fresh"]);
    assert!(
        outcome
            .notes
            .iter()
            .any(|note| note.contains("follow-ups was about to send"))
    );
    bench.store.only_customer(|ana| {
        assert!(ana.head.memberships.is_empty());
        let timers: Vec<&str> = ana
            .head
            .reviews
            .keys()
            .map(|(name, _)| name.as_str())
            .collect();
        assert_eq!(timers, ["tiers"]);
        assert!(
            ana.follow_ups
                .iter()
                .all(|row| row.state == Planned::Cancelled)
        );
        assert_eq!(ana.head.points.balance, 600, "what was earned stays");
    });
}

#[test]
fn a_tier_whose_rule_is_gone_is_held_until_another_rule_speaks() {
    let mut bench = with_ana();
    bench.rules.plugins.retain(|plugin| plugin.name != "tiers");
    let outcome = bench.ask_again("2024-05-02T10:00:00Z", asks(&[]));
    assert_eq!(outcome.customer.unwrap().tier.as_deref(), Some("gold"));
    let mut other = plugin("other-tiers", Role::TierRule);
    other.tiers = vec![("silver".into(), "A sentence.".into())];
    other.events = vec!["sale.completed".into()];
    bench.rules.plugins.push(other);
    bench.rules.tier = Box::new(|_, _| {
        Ok(TierAnswer {
            placement: Some(Placement {
                tier: Some("silver".into()),
                reason: "all are silver now".into(),
                keep_until: None,
            }),
            ..TierAnswer::default()
        })
    });
    let change = RulesChanged {
        rule_book: 3,
        ..asks(&["other-tiers"])
    };
    let outcome = bench.ask_again("2024-05-03T10:00:00Z", change);
    assert_eq!(outcome.tier.unwrap().to.as_deref(), Some("silver"));
}

/// A formula that fails for one sale, and gives a point a dollar for the others.
fn failing_at(id: &'static str) -> Bench {
    let mut bench = Bench::new();
    bench.rules.points = Box::new(move |event, _| {
        if event.id == id {
            return Err(Failure::Trap {
                message: "unreachable".into(),
            });
        }
        Ok(a_dollar(event, 1))
    });
    for (id, day) in [("s1", 1), ("s2", 2), ("s3", 3)] {
        let time = format!("2024-05-0{day}T10:00:00Z");
        bench.tell(&sale(id, &time, ANA, 10_000)).unwrap();
    }
    bench
}

fn a_dollar(event: &stampcard_pipeline::event::Event, points: i64) -> PointAnswer {
    let earned = event.sale().map(|sale| sale.total / 100 * points);
    let award = |amount| award(Amount::Base(amount), "by the dollar");
    PointAnswer {
        awards: earned.into_iter().map(award).collect(),
        after: After::default(),
    }
}

fn mended(from: Position) -> RulesChanged {
    RulesChanged {
        again_from: Some(from),
        ..asks(&["points"])
    }
}

#[test]
fn what_a_failing_rule_missed_is_made_good_once_and_nothing_else_changes() {
    let mut bench = failing_at("s2");
    bench
        .store
        .only_customer(|ana| assert_eq!(ana.head.points.balance, 200));
    // The mended version pays twice as much, which is for the sales that come.
    bench.rules.points = Box::new(|event, _| Ok(a_dollar(event, 2)));
    bench.rules.plugins[1].digest = "sha256:mended".into();
    let missed = place_of("s2", "2024-05-02T10:00:00Z");
    let outcome = bench.ask_again("2024-05-04T10:00:00Z", mended(missed.clone()));
    let entries: Vec<_> = outcome
        .points
        .iter()
        .map(|it| (it.amount, it.kind))
        .collect();
    assert_eq!(entries, [(200, EntryKind::Correction)]);
    assert_eq!(outcome.customer.unwrap().balance, 400);
    let change = RulesChanged {
        rule_book: 3,
        ..mended(missed)
    };
    let again = bench.ask_again("2024-05-05T10:00:00Z", change);
    assert!(again.points.is_empty(), "it is not missed any more");
    let next = sale("s4", "2024-05-06T10:00:00Z", ANA, 1_000);
    assert_eq!(bench.tell(&next).unwrap().points[0].amount, 20);
}

#[test]
fn what_was_missed_is_owed_even_where_late_sales_are_only_reported() {
    let mut bench = failing_at("s2");
    let mut file = bench.shop.file.clone();
    file.policies.late = Late::Report;
    bench.shop = stampcard_pipeline::shop::Shop::new(file).unwrap();
    bench.rules.points = Box::new(|event, _| Ok(a_dollar(event, 1)));
    let outcome = bench.ask_again(
        "2024-05-04T10:00:00Z",
        mended(place_of("s2", "2024-05-02T10:00:00Z")),
    );
    assert_eq!(outcome.customer.unwrap().balance, 300);
}

#[test]
fn a_rule_that_still_fails_leaves_it_missed() {
    let bench = failing_at("s2");
    let missed = place_of("s2", "2024-05-02T10:00:00Z");
    let outcome = bench.ask_again("2024-05-04T10:00:00Z", mended(missed));
    assert!(outcome.points.is_empty());
    assert_eq!(outcome.customer.unwrap().balance, 200);
}

#[test]
fn a_late_sale_takes_nothing_back_that_a_removed_rule_gave() {
    let mut bench = with_ana();
    let bought = sale("s3", "2024-05-03T10:00:00Z", ANA, 10_000);
    bench.tell(&bought).unwrap();
    bench.rules.plugins.retain(|plugin| plugin.name != "points");
    let late = sale("s2", "2024-05-02T10:00:00Z", ANA, 10_000);
    let outcome = bench.tell(&late).unwrap();
    assert!(outcome.points.is_empty());
    bench.store.only_customer(|ana| {
        assert_eq!((ana.head.points.balance, ana.head.earned), (700, 700));
    });
}

#[test]
fn a_sale_that_comes_late_is_decided_before_the_change_of_rules_that_it_was_before() {
    let mut bench = with_ana();
    bench
        .rules
        .plugins
        .retain(|plugin| plugin.name != "follow-ups");
    bench.ask_again("2024-05-03T10:00:00Z", asks(&[]));
    let late = sale("s2", "2024-05-02T10:00:00Z", ANA, 10_000);
    assert_eq!(bench.tell(&late).unwrap().status, Status::Applied);
    bench.store.only_customer(|ana| {
        let order: Vec<&str> = ana.history.keys().map(|it| it.id.as_str()).collect();
        assert_eq!((order[0], order[1]), ("s1", "s2"));
        assert!(order[2].starts_with("rules/2/cus_"), "{order:?}");
        assert_eq!(ana.head.events, 3);
    });
}
