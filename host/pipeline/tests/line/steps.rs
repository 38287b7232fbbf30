//! Each step of the line, one sentence a test.

use crate::native_rules::{award, follow_up, member};
use crate::{Bench, event, sale};
use serde_json::json;
use stampcard_pipeline::calendar;
use stampcard_pipeline::event::Instant;
use stampcard_pipeline::outcome::{EntryState, Status};
use stampcard_pipeline::refusal::Refusal;
use stampcard_pipeline::rules::*;
use stampcard_pipeline::shop::{Combine, Late, PointsSee, UnknownCustomer};

const ANA: &str = "ana@example.com";

#[test]
fn a_sale_becomes_points_and_a_receipt_in_one_answer() {
    let bench = Bench::new();
    let outcome = bench
        .tell(&sale("1", "2024-05-01T10:00:00-04:00", ANA, 3_749))
        .unwrap();
    assert_eq!(outcome.status, Status::Applied);
    assert_eq!(
        (outcome.points[0].amount, outcome.points[0].balance_after),
        (37, 37)
    );
    assert_eq!(outcome.segments.entered, ["fresh"]);
    assert_eq!(outcome.receipt, ["Earned 37"]);
    assert_eq!(outcome.plugins.len(), 4);
}

#[test]
fn the_same_event_again_gets_the_same_answer_and_another_body_is_refused() {
    let bench = Bench::new();
    let first = bench
        .tell(&sale("1", "2024-05-01T10:00:00Z", ANA, 1_000))
        .unwrap();
    let mut again = sale("1", "2024-05-01T10:00:00Z", ANA, 1_000);
    // Written in another order, and with blanks, it is the same body.
    again["data"]["customer"] = json!({"email": ANA});
    let second = bench.tell(&again).unwrap();
    assert_eq!(second.status, Status::Duplicate);
    assert_eq!(second.points, first.points);
    assert!(matches!(
        bench.tell(&sale("1", "2024-05-01T10:00:00Z", ANA, 2_000)),
        Err(Refusal::Conflict { .. })
    ));
}

#[test]
fn the_same_order_through_a_second_door_earns_nothing_and_names_what_differs() {
    let bench = Bench::new();
    let order = |id: &str, cents: i64| {
        let mut event = sale(id, "2024-05-01T10:00:00Z", ANA, cents);
        event["data"]["order"] = json!({"system": "web", "id": "77"});
        event
    };
    bench.tell(&order("1", 1_000)).unwrap();
    let second = bench.tell(&order("2", 1_100)).unwrap();
    assert_eq!(second.status, Status::Duplicate);
    assert_eq!(second.duplicate_of.unwrap().id, "1");
    assert_eq!(second.differs, ["lines", "total"]);
    assert_eq!(bench.store.inner.borrow().entries.len(), 1);
}

#[test]
fn a_guest_sale_is_kept_and_decides_nothing() {
    let bench = Bench::new();
    let mut event = sale("1", "2024-05-01T10:00:00Z", ANA, 1_000);
    event["data"].as_object_mut().unwrap().remove("customer");
    let outcome = bench.tell(&event).unwrap();
    assert_eq!(
        (outcome.status, outcome.notes),
        (Status::Guest, vec!["skipped: guest".to_string()])
    );
    assert!(bench.store.inner.borrow().customers.is_empty());
}

#[test]
fn an_unknown_identifier_creates_a_customer_only_where_the_shop_wants_that() {
    for (policy, status, customers) in [
        (UnknownCustomer::Create, Status::Applied, 1),
        (UnknownCustomer::Guest, Status::Guest, 0),
    ] {
        let bench = Bench::with(|file| file.policies.unknown_customer = policy);
        assert_eq!(
            bench
                .tell(&sale("1", "2024-05-01T10:00:00Z", ANA, 1_000))
                .unwrap()
                .status,
            status
        );
        assert_eq!(bench.store.inner.borrow().customers.len(), customers);
        // Whoever asks for an account gets one.
        let mut asks = sale("2", "2024-05-01T10:00:00Z", "bo@example.com", 1_000);
        asks["data"]["account_intent"] = json!("create");
        assert_eq!(bench.tell(&asks).unwrap().status, Status::Applied);
    }
}

#[test]
fn identifiers_decide_in_their_order_and_link_what_nobody_had() {
    let bench = Bench::new();
    let with = |id: &str, customer: serde_json::Value| {
        let mut event = sale(id, "2024-05-01T10:00:00Z", ANA, 1_000);
        event["data"]["customer"] = customer;
        bench.tell(&event).unwrap().customer.unwrap().id
    };
    let ana = with("1", json!({"email": " Ana@Example.com "}));
    let bo = with("2", json!({"card": "L-1"}));
    assert_ne!(ana, bo);
    assert_eq!(
        with("3", json!({"email": ANA, "phone": "(212) 555-0100"})),
        ana,
        "the phone joins the e-mail"
    );
    assert_eq!(
        with("4", json!({"phone": "+1 212.555.0100"})),
        ana,
        "in any spelling"
    );
    assert_eq!(
        with("5", json!({"card": "L-1", "email": ANA})),
        ana,
        "an e-mail decides before a card"
    );
    assert_eq!(
        with("6", json!({"card": "L-1"})),
        bo,
        "and takes nothing from whoever has the card"
    );
}

#[test]
fn a_customer_id_that_nobody_has_is_refused() {
    let bench = Bench::new();
    let mut event = sale("1", "2024-05-01T10:00:00Z", ANA, 1_000);
    event["data"]["customer"] = json!({"id": "cus_nobody"});
    assert_eq!(bench.tell(&event).unwrap_err().code(), "unknown-customer");
    event["data"]["customer"] = json!({"id": "cus_nobody", "email": ANA});
    assert_eq!(bench.tell(&event).unwrap_err().code(), "unknown-customer");
    assert!(bench.store.inner.borrow().journal.is_empty());
}

#[test]
fn a_membership_ends_at_its_until_by_itself() {
    let bench = Bench::new();
    bench
        .tell(&sale("1", "2024-05-01T10:00:00Z", ANA, 1_000))
        .unwrap();
    bench.clock(calendar::parse("2024-05-03T09:59:59.999Z").unwrap());
    bench
        .store
        .only_customer(|customer| assert!(customer.head.memberships.contains_key("fresh")));
    bench.clock(calendar::parse("2024-05-03T10:00:00Z").unwrap());
    bench
        .store
        .only_customer(|customer| assert!(!customer.head.memberships.contains_key("fresh")));
}

#[test]
fn a_timer_that_is_due_before_an_event_is_driven_before_it() {
    let bench = Bench::new();
    bench
        .tell(&sale("1", "2024-05-01T10:00:00Z", ANA, 1_000))
        .unwrap();
    let back = bench
        .tell(&sale("2", "2024-07-01T10:00:00Z", ANA, 1_000))
        .unwrap();
    assert_eq!(
        back.segments.left,
        ["lapsed"],
        "the customer had lapsed in between"
    );
    bench.store.only_customer(|customer| {
        let lapsed = customer
            .memberships
            .iter()
            .find(|(_, segment, ..)| segment == "lapsed")
            .unwrap();
        assert_eq!(calendar::text(lapsed.2), "2024-05-31T10:00:00Z");
        assert!(
            customer
                .follow_ups
                .iter()
                .any(|row| row.template == "win-back")
        );
    });
}

#[test]
fn a_window_lets_go_of_what_is_exactly_its_length_old() {
    let bench = Bench::new();
    bench
        .tell(&sale("1", "2024-01-01T10:00:00Z", ANA, 60_000))
        .unwrap();
    assert!(
        bench
            .store
            .only_customer(|customer| customer.head.standing.is_some())
    );
    bench.clock(calendar::parse("2024-12-31T09:59:59.999Z").unwrap());
    assert!(
        bench
            .store
            .only_customer(|customer| customer.head.standing.is_some())
    );
    bench.clock(calendar::parse("2024-12-31T10:00:00Z").unwrap());
    assert!(
        bench
            .store
            .only_customer(|customer| customer.head.standing.is_none()),
        "365 days later to the millisecond"
    );
}

#[test]
fn points_see_the_segments_of_this_event_or_of_the_one_before() {
    for (policy, bonus) in [(PointsSee::After, true), (PointsSee::Before, false)] {
        let bench = Bench::with(|file| file.policies.points_see_segments = policy);
        for id in ["1", "2"] {
            bench
                .tell(&sale(id, "2024-05-01T10:00:00Z", ANA, 1_000))
                .unwrap();
        }
        let third = bench
            .tell(&sale("3", "2024-05-01T11:00:00Z", ANA, 1_000))
            .unwrap();
        assert_eq!(third.segments.entered, ["regular"]);
        assert_eq!(third.points.len() == 2, bonus, "{policy:?}");
    }
}

#[test]
fn the_tier_comes_after_the_points() {
    let mut bench = Bench::new();
    bench.rules.tier = Box::new(|_, input| {
        let tier = (input.totals.lifetime.earned >= 100 && input.so_far.balance_after >= 100)
            .then(|| "gold".to_string());
        let placement = Placement {
            tier,
            reason: "100 points".into(),
            keep_until: None,
        };
        Ok(TierAnswer {
            placement: Some(placement),
            ..TierAnswer::default()
        })
    });
    let outcome = bench
        .tell(&sale("1", "2024-05-01T10:00:00Z", ANA, 10_000))
        .unwrap();
    assert_eq!(outcome.tier.unwrap().to.as_deref(), Some("gold"));
}

#[test]
fn shares_of_the_base_are_worked_out_when_all_formulas_have_answered() {
    let mut bench = Bench::new();
    bench.rules.add_points("double", |event, _| {
        let awards = if event.sale().is_some() {
            vec![award(Amount::BonusShare(10_000), "double weekend")]
        } else {
            Vec::new()
        };
        Ok(PointAnswer {
            awards,
            ..PointAnswer::default()
        })
    });
    let outcome = bench
        .tell(&sale("1", "2024-05-01T10:00:00Z", ANA, 3_749))
        .unwrap();
    let amounts: Vec<_> = outcome
        .points
        .iter()
        .map(|entry| (entry.amount, entry.plugin.as_deref()))
        .collect();
    assert_eq!(amounts, [(37, Some("points")), (37, Some("double"))]);
}

#[test]
fn the_best_formula_takes_it_all_where_the_shop_says_so() {
    let mut bench = Bench::with(|file| file.policies.awards = Combine::Best);
    bench.rules.add_points("flat", |_, _| {
        Ok(PointAnswer {
            awards: vec![award(Amount::Bonus(50), "a present")],
            ..PointAnswer::default()
        })
    });
    let outcome = bench
        .tell(&sale("1", "2024-05-01T10:00:00Z", ANA, 3_700))
        .unwrap();
    assert_eq!(
        outcome
            .points
            .iter()
            .map(|entry| entry.amount)
            .collect::<Vec<_>>(),
        [50]
    );
    assert!(
        outcome
            .notes
            .iter()
            .any(|note| note.contains("points lost with 37 points to flat with 50")),
        "{:?}",
        outcome.notes
    );
}

#[test]
fn a_cap_bites_the_bonus_first_and_says_so() {
    let mut bench = Bench::with(|file| file.caps.points_per_event = Some(40));
    bench.rules.add_points("flat", |_, _| {
        Ok(PointAnswer {
            awards: vec![award(Amount::Bonus(50), "a present")],
            ..PointAnswer::default()
        })
    });
    let outcome = bench
        .tell(&sale("1", "2024-05-01T10:00:00Z", ANA, 3_700))
        .unwrap();
    assert_eq!(
        outcome
            .points
            .iter()
            .map(|entry| entry.amount)
            .collect::<Vec<_>>(),
        [37, 3]
    );
    assert!(
        outcome
            .notes
            .iter()
            .any(|note| note.contains("87 points were capped to 40")),
        "{:?}",
        outcome.notes
    );
}

#[test]
fn points_that_mature_later_are_in_the_balance_and_not_available() {
    let mut bench = Bench::new();
    bench.rules.points = Box::new(|event, _| {
        let matures = Award {
            available_from: Some(Moment::Days(14)),
            ..award(Amount::Base(100), "after the return period")
        };
        Ok(PointAnswer {
            awards: if event.sale().is_some() {
                vec![matures]
            } else {
                Vec::new()
            },
            ..PointAnswer::default()
        })
    });
    let outcome = bench
        .tell(&sale("1", "2024-05-01T10:00:00Z", ANA, 3_700))
        .unwrap();
    assert_eq!(outcome.points[0].state, EntryState::Pending);
    let customer = outcome.customer.unwrap();
    assert_eq!((customer.balance, customer.available), (100, 0));
    let later = bench
        .tell(&event(
            "2",
            "page.viewed",
            "2024-05-15T10:00:00Z",
            json!({"customer": {"email": ANA}}),
        ))
        .unwrap();
    assert_eq!(later.customer.unwrap().available, 100);
}

#[test]
fn a_plugin_that_fails_is_named_and_the_others_still_decide() {
    let mut bench = Bench::new();
    bench.rules.segments = Box::new(|_, _| {
        Err(Failure::Trap {
            message: "unreachable".into(),
        })
    });
    let outcome = bench
        .tell(&sale("1", "2024-05-01T10:00:00Z", ANA, 3_700))
        .unwrap();
    assert_eq!(outcome.points[0].amount, 37);
    assert_eq!(
        (
            outcome.plugins[0].name.as_str(),
            outcome.plugins[0].status.as_str()
        ),
        ("segments", "trap")
    );
}

/// Answers that lie, each with a part of the sentence that refuses it.
#[test]
fn an_answer_that_cannot_be_is_refused_whole() {
    let segments: Vec<(SegmentAnswer, &str)> = vec![
        (
            SegmentAnswer {
                memberships: vec![member("regular", true), member("nobody's", true)],
                ..Default::default()
            },
            "not in the manifest",
        ),
        (
            SegmentAnswer {
                memberships: vec![MembershipChange {
                    until: Some(Moment::At(Instant(0))),
                    ..member("regular", true)
                }],
                ..Default::default()
            },
            "not ahead",
        ),
        (
            SegmentAnswer {
                memberships: vec![member("regular", true)],
                tags: vec![TagSetting {
                    tag: "Gold".into(),
                    set: true,
                }],
                ..Default::default()
            },
            "not registered",
        ),
        (
            SegmentAnswer {
                memberships: vec![member("regular", true)],
                after: After {
                    memory: Memory::Replace(vec![0; 5_000]),
                    ..After::default()
                },
                ..Default::default()
            },
            "state of 5000 bytes",
        ),
        (
            SegmentAnswer {
                memberships: vec![member("regular", true)],
                after: After {
                    next_review: NextReview::At(Instant(0)),
                    ..After::default()
                },
                ..Default::default()
            },
            "not ahead",
        ),
    ];
    for (answer, why) in segments {
        let mut bench = Bench::new();
        bench.rules.segments = Box::new(move |_, _| Ok(answer.clone()));
        let outcome = bench
            .tell(&sale("1", "2024-05-01T10:00:00Z", ANA, 3_700))
            .unwrap();
        assert_eq!(outcome.plugins[0].status, "answer");
        assert!(
            outcome.plugins[0].message.as_ref().unwrap().contains(why),
            "{:?} has {why:?}",
            outcome.plugins[0].message
        );
        assert!(
            outcome.segments.entered.is_empty(),
            "nothing of a refused answer is taken"
        );
    }
    let awards: Vec<(Award, &str)> = vec![
        (award(Amount::Base(-1), "negative"), "at least 0"),
        (award(Amount::Bonus(1 << 53), "huge"), "at most 2^53"),
        (
            award(Amount::BonusShare(2_000_000), "absurd"),
            "basis points",
        ),
        (award(Amount::Base(1), ""), "needs a reason"),
        (
            Award {
                covers: Coverage::Lines(vec![2]),
                ..award(Amount::Base(1), "no such line")
            },
            "for line 2",
        ),
        (
            Award {
                expires_at: Some(Moment::Hours(0)),
                ..award(Amount::Base(1), "over at once")
            },
            "expires before",
        ),
        (
            Award {
                expires_at: Some(Moment::Months(4_000_000)),
                ..award(Amount::Base(1), "for ever")
            },
            "too far ahead",
        ),
    ];
    for (lie, why) in awards {
        let mut bench = Bench::new();
        bench.rules.points = Box::new(move |_, _| {
            Ok(PointAnswer {
                awards: vec![award(Amount::Base(5), "fine"), lie.clone()],
                ..Default::default()
            })
        });
        let outcome = bench
            .tell(&sale("1", "2024-05-01T10:00:00Z", ANA, 3_700))
            .unwrap();
        assert_eq!(outcome.plugins[1].status, "answer");
        assert!(
            outcome.plugins[1].message.as_ref().unwrap().contains(why),
            "{:?} has {why:?}",
            outcome.plugins[1].message
        );
        assert!(outcome.points.is_empty());
    }
}

#[test]
fn a_storm_of_reviews_is_the_plugins_fault() {
    let mut bench = Bench::new();
    bench.rules.segments = Box::new(|event, _| {
        let after = After {
            next_review: NextReview::At(Instant(event.at.0 + 60_000)),
            ..After::default()
        };
        Ok(SegmentAnswer {
            after,
            ..SegmentAnswer::default()
        })
    });
    bench
        .tell(&sale("1", "2024-05-01T10:00:00Z", ANA, 1_000))
        .unwrap();
    bench.clock(calendar::parse("2024-05-01T20:00:00Z").unwrap());
    bench.store.only_customer(|customer| {
        assert!(
            customer.head.clock < calendar::parse("2024-05-01T10:30:00Z").unwrap(),
            "after 25 reviews nobody asks any more"
        );
    });
}

#[test]
fn a_basket_that_is_not_paid_shows_what_it_would_earn_and_earns_nothing() {
    let mut bench = Bench::new();
    bench.rules.points = Box::new(|event, _| {
        let after = After {
            memory: Memory::Replace(vec![1]),
            ..After::default()
        };
        Ok(PointAnswer {
            awards: event
                .basket()
                .map(|sale| award(Amount::Base(sale.total / 100), "1 point per dollar"))
                .into_iter()
                .collect(),
            after,
        })
    });
    bench.rules.follow_ups = Box::new(|_, input| {
        Ok(FollowUpAnswer {
            receipt: vec![format!("Would earn {}", input.so_far.points)],
            ..FollowUpAnswer::default()
        })
    });
    bench
        .tell(&event(
            "0",
            "customer.identified",
            "2024-05-01T10:00:00Z",
            json!({"customer": {"email": ANA}}),
        ))
        .unwrap();
    let mut checkout = sale("1", "2024-05-01T10:00:00Z", ANA, 7_900);
    checkout["type"] = json!("checkout.started");
    let outcome = bench.tell(&checkout).unwrap();
    assert_eq!(outcome.receipt, ["Would earn 79"]);
    assert_eq!(outcome.customer.unwrap().balance, 0);
    bench
        .store
        .only_customer(|customer| assert_eq!(customer.head.totals.lifetime.orders, 0));
}

#[test]
fn a_preview_says_what_a_sale_would_do_and_does_nothing() {
    let bench = Bench::new();
    let outcome = bench
        .preview(&sale("1", "2024-05-01T10:00:00Z", ANA, 7_900))
        .unwrap();
    assert_eq!(outcome.points[0].amount, 79);
    assert!(bench.store.inner.borrow().journal.is_empty());
}

#[test]
fn marketing_without_consent_is_suppressed_and_service_is_not() {
    let mut bench = Bench::new();
    bench.rules.follow_ups = Box::new(|event, _| {
        let marketing = FollowUp {
            purpose: Purpose::Marketing,
            ..follow_up("news", &format!("news/{}", event.id), None)
        };
        Ok(FollowUpAnswer {
            follow_ups: vec![
                marketing,
                follow_up("receipt", &format!("receipt/{}", event.id), None),
            ],
            ..Default::default()
        })
    });
    let states = |outcome: stampcard_pipeline::outcome::Outcome| {
        outcome
            .follow_ups
            .into_iter()
            .map(|view| view.state)
            .collect::<Vec<_>>()
    };
    let first = bench
        .tell(&sale("1", "2024-05-01T10:00:00Z", ANA, 1_000))
        .unwrap();
    assert_eq!(states(first), ["suppressed", "planned"]);
    let consent = json!({"customer": {"email": ANA}, "purpose": "email", "granted": true});
    let with_consent = bench
        .tell(&event(
            "2",
            "consent.changed",
            "2024-05-01T11:00:00Z",
            consent,
        ))
        .unwrap();
    assert_eq!(states(with_consent), ["planned", "planned"]);
}

#[test]
fn an_import_moves_the_customer_and_sends_nothing() {
    let bench = Bench::new();
    let mut event = sale("1", "2024-05-01T10:00:00Z", ANA, 1_000);
    event["data"]["historical"] = json!(true);
    let outcome = bench.tell(&event).unwrap();
    assert_eq!(outcome.points[0].amount, 10);
    assert!(outcome.follow_ups.is_empty() && outcome.receipt.is_empty());
    assert!(outcome.notes.iter().any(|note| note.contains("historical")));
}

#[test]
fn a_plugin_that_writes_to_segments_writes_to_nobody_else_and_leaves_tasks_to_staff() {
    let planned = |targets: &[&str]| {
        let mut bench = Bench::new();
        let targets = targets.iter().map(|target| (*target).to_owned()).collect();
        bench.rules.plugins[3].messages_to = Some(MessagesTo::Segments(targets));
        bench.rules.follow_ups = Box::new(|_, _| {
            let task = FollowUp {
                channel: "task".into(),
                ..follow_up("call", "call", None)
            };
            Ok(FollowUpAnswer {
                follow_ups: vec![follow_up("thanks", "thanks", None), task],
                ..Default::default()
            })
        });
        let sold = bench.tell(&sale("1", "2024-05-01T10:00:00Z", ANA, 1_000));
        let outcome = sold.unwrap();
        let states: Vec<_> = outcome
            .follow_ups
            .iter()
            .map(|it| it.state.clone())
            .collect();
        (format!("{states:?}"), outcome.notes.join("; "))
    };
    // The first sale makes somebody `fresh`, and not `regular`.
    let (states, notes) = planned(&["regular", "fresh"]);
    assert_eq!(
        (states.as_str(), notes.as_str()),
        (r#"["planned", "planned"]"#, "")
    );
    let (states, notes) = planned(&["regular", "lapsed"]);
    assert_eq!(states, r#"["planned"]"#, "the task alone");
    assert_eq!(
        notes,
        "thanks is not planned: follow-ups writes to regular and lapsed, and the customer is not among them"
    );
    let (states, notes) = planned(&[]);
    assert_eq!(states, r#"["planned"]"#, "the task alone");
    assert!(notes.contains("writes to nobody"), "{notes}");
}

#[test]
fn a_kind_of_the_shops_own_plans_nothing_until_the_shop_has_named_it() {
    for (named, planned) in [(false, 0), (true, 1)] {
        let mut bench = Bench::with(|file| {
            if named {
                file.kinds
                    .insert("x.attended".into(), "The customer came to a class.".into());
            }
        });
        bench.rules.follow_ups = Box::new(|_, _| {
            Ok(FollowUpAnswer {
                follow_ups: vec![follow_up("thanks", "thanks", None)],
                ..Default::default()
            })
        });
        let outcome = bench
            .tell(&event(
                "1",
                "x.attended",
                "2024-05-01T10:00:00Z",
                json!({"customer": {"email": ANA}, "class": "knots"}),
            ))
            .unwrap();
        assert_eq!(outcome.follow_ups.len(), planned);
    }
}

#[test]
fn an_offer_has_a_code_that_is_used_once_it_is_in_a_sale() {
    let mut bench = Bench::with(|file| file.caps.discount_share = Some(2_000));
    bench.rules.follow_ups = Box::new(|event, _| {
        let offer = DiscountOffer {
            key: "welcome".into(),
            scope: DiscountScope::NextPurchase,
            value: DiscountValue::Share(5_000),
            minimum: 0,
            code: OfferCode::Unique("HI-".into()),
            valid_from: None,
            valid_until: Some(Moment::Days(30)),
            reason: "welcome".into(),
            attributes: Vec::new(),
        };
        let prompt = Prompt {
            kind: "discount".into(),
            text: "Next time 20 % off".into(),
            discount: Some(offer),
            attributes: Vec::new(),
        };
        Ok(FollowUpAnswer {
            prompts: if event.sale().is_some() {
                vec![prompt]
            } else {
                Vec::new()
            },
            ..Default::default()
        })
    });
    let first = bench
        .tell(&sale("1", "2024-05-01T10:00:00Z", ANA, 1_000))
        .unwrap();
    let offer = first.prompts[0].discount.clone().unwrap();
    assert_eq!(offer.value, DiscountValue::Share(2_000), "the shop's cap");
    let code = offer.code.unwrap();
    assert!(code.starts_with("HI-") && code.len() == 11, "{code}");
    let mut second = sale("2", "2024-05-02T10:00:00Z", ANA, 1_000);
    second["data"]["discounts"] = json!([{"code": code, "amount": 200}]);
    second["data"]["total"] = json!(800);
    bench.tell(&second).unwrap();
    bench
        .store
        .only_customer(|customer| assert!(customer.head.offers[0].1.used_at.is_some()));
}

#[test]
fn a_late_event_changes_the_ledger_as_the_policy_says() {
    for (late, balance) in [
        (Late::Correct, 10 + 10 + 10 + 5 + 10 + 5),
        (Late::InFavour, 50),
        (Late::Report, 10 + 10 + 10 + 5 + 10),
    ] {
        let bench = Bench::with(|file| file.policies.late = late);
        for (id, day) in [("b", "03"), ("c", "05"), ("d", "07")] {
            bench
                .tell(&sale(id, &format!("2024-05-{day}T10:00:00Z"), ANA, 1_000))
                .unwrap();
        }
        let outcome = bench
            .tell(&sale("a", "2024-05-01T10:00:00Z", ANA, 1_000))
            .unwrap();
        assert_eq!(outcome.customer.unwrap().balance, balance, "{late:?}");
    }
}

#[test]
fn what_a_call_was_asked_is_recorded_and_not_asked_again() {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};
    let calls = Arc::new(AtomicUsize::new(0));
    let mut bench = Bench::new();
    let counted = calls.clone();
    bench.rules.points = Box::new(move |_, _| {
        counted.fetch_add(1, Ordering::Relaxed);
        Ok(PointAnswer::default())
    });
    bench.rules.plugins[1].events = vec!["sale.completed".into()];
    for (id, day) in [("a", "01"), ("c", "05")] {
        bench
            .tell(&sale(id, &format!("2024-05-{day}T10:00:00Z"), ANA, 1_000))
            .unwrap();
    }
    assert_eq!(calls.load(Ordering::Relaxed), 2);
    bench
        .tell(&sale("b", "2024-05-03T10:00:00Z", ANA, 1_000))
        .unwrap();
    assert_eq!(
        calls.load(Ordering::Relaxed),
        4,
        "a is as it was; b is new and c has another past"
    );
}
