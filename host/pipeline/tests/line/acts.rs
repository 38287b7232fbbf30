//! Acts of staff: who may, what they do to the ledger, to tiers and to tags, and that a refold
//! leaves them as they are.

use crate::{Bench, event, sale};
use serde_json::{Value, json};
use stampcard_pipeline::admit::SenderKind;
use stampcard_pipeline::calendar;
use stampcard_pipeline::change::EntryKind;
use stampcard_pipeline::outcome::Outcome;
use stampcard_pipeline::rules::{Amount, PointAnswer, SegmentAnswer, TagSetting};
use stampcard_pipeline::shop::{SetBy, Shop, ShopError, ShopFile, TagPolicy, TagRule};

const ANA: &str = "ana@example.com";

/// Something that staff does to Ana.
fn act(id: &str, kind: &str, time: &str, mut data: Value) -> Value {
    data["customer"] = json!({"email": ANA});
    event(id, kind, time, data)
}

fn adjust(id: &str, time: &str, points: i64) -> Value {
    let data = json!({"points": points, "reason": "goodwill", "actor": "staff-7"});
    act(id, "points.adjusted", time, data)
}

/// A shop in which Ana bought for 100.00 on the first of May.
fn with_ana(change: impl FnOnce(&mut ShopFile)) -> Bench {
    let bench = Bench::with(change);
    bench
        .tell(&sale("s1", "2024-05-01T10:00:00Z", ANA, 10_000))
        .unwrap();
    bench
}

fn tier(outcome: &Outcome) -> Option<&str> {
    outcome.customer.as_ref()?.tier.as_deref()
}

fn code(bench: &Bench, event: &Value) -> (String, String) {
    let refusal = bench.tell(event).unwrap_err();
    (refusal.code().into(), refusal.pointer().into())
}

fn tag(key: &str, set_by: &[SetBy]) -> TagRule {
    TagRule {
        key: key.into(),
        means: "A sentence.".into(),
        set_by: set_by.into(),
        synonyms: Vec::new(),
        expires_after_days: None,
    }
}

#[test]
fn points_that_staff_gives_are_a_lot_of_their_own_and_count_as_earned_by_nobody() {
    let bench = with_ana(|_| {});
    let mut given = adjust("a", "2024-05-02T10:00:00Z", 50);
    given["data"]["expires_at"] = json!("2024-08-01T00:00:00Z");
    let outcome = bench.tell(&given).unwrap();
    let entry = &outcome.points[0];
    assert_eq!(
        (entry.amount, entry.kind, entry.balance_after),
        (50, EntryKind::Adjustment, 150)
    );
    assert_eq!(
        (entry.actor.as_deref(), entry.plugin.as_deref()),
        (Some("staff-7"), None)
    );
    assert_eq!(outcome.customer.unwrap().available, 150);
    bench.store.only_customer(|customer| {
        assert_eq!(customer.head.earned, 100);
        let lot = customer.lots.keys().find(|key| key.plugin.is_empty());
        let expires = lot.and_then(|key| key.expires_at).unwrap();
        assert_eq!(calendar::text(expires), "2024-08-01T00:00:00Z");
    });
}

#[test]
fn points_are_taken_from_the_lots_that_expire_first_and_never_more_than_there_are() {
    let bench = with_ana(|_| {});
    let mut soon = adjust("a", "2024-05-02T10:00:00Z", 30);
    soon["data"]["expires_at"] = json!("2024-06-01T00:00:00Z");
    bench.tell(&soon).unwrap();
    let refused = code(&bench, &adjust("b", "2024-05-03T10:00:00Z", -131));
    assert_eq!(refused, ("not-enough-points".into(), "/data/points".into()));
    let outcome = bench
        .tell(&adjust("c", "2024-05-03T10:00:00Z", -50))
        .unwrap();
    assert_eq!(
        (outcome.points[0].amount, outcome.points[0].balance_after),
        (-50, 80)
    );
    bench.store.only_customer(|customer| {
        let paid: Vec<i64> = customer.paid.iter().map(|paid| paid.points).collect();
        assert_eq!(
            paid,
            [30, 20],
            "all of what expires first, the rest of the sale"
        );
    });
}

#[test]
fn a_shop_may_let_staff_take_more_than_there_is() {
    let bench = with_ana(|file| file.policies.adjust_below_zero = true);
    let outcome = bench
        .tell(&adjust("a", "2024-05-02T10:00:00Z", -130))
        .unwrap();
    assert_eq!(outcome.customer.unwrap().balance, -30);
    bench.store.only_customer(|customer| {
        let paid: i64 = customer.paid.iter().map(|paid| paid.points).sum();
        assert_eq!(paid, 100, "a lot gives what it has");
        assert_eq!(customer.head.points.owed, 30);
    });
}

#[test]
fn a_refold_leaves_what_staff_did_as_it_is() {
    let bench = with_ana(|_| {});
    bench
        .tell(&adjust("a", "2024-05-03T10:00:00Z", -40))
        .unwrap();
    bench
        .tell(&adjust("b", "2024-05-04T10:00:00Z", 25))
        .unwrap();
    let late = bench
        .tell(&sale("s0", "2024-04-30T10:00:00Z", ANA, 5_000))
        .unwrap();
    assert_eq!(
        late.points.len(),
        1,
        "only the late sale is booked: {late:?}"
    );
    assert_eq!(late.customer.unwrap().balance, 100 - 40 + 25 + 50);
}

#[test]
fn an_adjustment_needs_a_reason_some_points_and_somebody_known() {
    let bench = with_ana(|_| {});
    let with = |path: &str, value: Value| {
        let mut told = adjust("a", "2024-05-02T10:00:00Z", 50);
        told["data"][path] = value;
        code(&bench, &told)
    };
    let is = |code: &str, at: &str| (code.to_owned(), at.to_owned());
    assert_eq!(with("points", json!(0)), is("no-points", "/data/points"));
    assert_eq!(with("points", json!(1.5)), is("malformed", "/data/points"));
    assert_eq!(
        with("reason", json!("  ")),
        is("reason-required", "/data/reason")
    );
    assert_eq!(with("reason", json!(null)), is("malformed", "/data/reason"));
    assert_eq!(with("actor", json!("")), is("malformed", "/data/actor"));
    assert_eq!(
        with("expires_at", json!("2024-05-02T10:00:00Z")),
        is("not-ahead", "/data/expires_at")
    );
    assert_eq!(
        with("customer", json!({"email": "bo@example.com"})),
        is("unknown-customer", "/data/customer")
    );
    assert_eq!(
        with("customer", json!({})),
        is("identifier-required", "/data/customer")
    );
    assert_eq!(
        bench.store.inner.borrow().journal.len(),
        1,
        "nothing came of any of them"
    );
}

#[test]
fn only_staff_may_and_a_till_where_the_shop_says_so() {
    let given = adjust("a", "2024-05-02T10:00:00Z", 50);
    let bench = with_ana(|_| {});
    let refusal = bench.tell_as(SenderKind::Pos, &given).unwrap_err();
    assert_eq!((refusal.code(), refusal.pointer()), ("staff-only", "/type"));
    bench.tell_as(SenderKind::Staff, &given).unwrap();

    let opened = with_ana(|file| file.policies.pos_may = vec!["points.adjusted".into()]);
    opened.tell_as(SenderKind::Pos, &given).unwrap();
    let placed = json!({"tier": "gold", "reason": "press"});
    let placed = act("b", "tier.overridden", "2024-05-02T10:00:00Z", placed);
    let refusal = opened.tell_as(SenderKind::Pos, &placed).unwrap_err();
    assert_eq!(refusal.code(), "staff-only", "each act is opened by itself");
}

#[test]
fn whoever_sends_an_act_did_it_unless_it_says_who() {
    let bench = with_ana(|_| {});
    let mut given = adjust("a", "2024-05-02T10:00:00Z", 50);
    given["data"].as_object_mut().unwrap().remove("actor");
    let outcome = bench.tell_as(SenderKind::Staff, &given).unwrap();
    assert_eq!(outcome.points[0].actor.as_deref(), Some("Mia"));
}

#[test]
fn staff_holds_a_tier_against_the_rules_until_its_time_is_over() {
    let bench = with_ana(|_| {});
    let placed = json!({"tier": "gold", "until": "2024-06-01T00:00:00Z", "reason": "press", "actor": "staff-7"});
    let outcome = bench
        .tell(&act("a", "tier.overridden", "2024-05-02T10:00:00Z", placed))
        .unwrap();
    let change = outcome.tier.as_ref().unwrap();
    assert_eq!(
        (
            change.from.as_deref(),
            change.to.as_deref(),
            change.reason.as_str()
        ),
        (None, Some("gold"), "press")
    );
    // The rule would take it: Ana spent 100.00 and gold needs 500.00.
    let next = bench
        .tell(&sale("s2", "2024-05-03T10:00:00Z", ANA, 1_000))
        .unwrap();
    assert_eq!((tier(&next), &next.tier), (Some("gold"), &None));
    let note = "tiers wanted no tier; staff holds gold until 2024-06-01T00:00:00Z";
    assert!(next.notes.iter().any(|it| it == note), "{:?}", next.notes);
    bench.clock(calendar::parse("2024-05-31T23:59:59.999Z").unwrap());
    let held = || bench.store.only_customer(|it| it.head.standing.clone());
    assert_eq!(
        held().map(|it| (it.tier, it.plugin)),
        Some(("gold".into(), None))
    );
    bench.clock(calendar::parse("2024-06-01T00:00:00Z").unwrap());
    assert_eq!(held(), None, "the rule decides again by itself");
}

#[test]
fn a_tier_goes_back_to_the_rules_at_the_word_of_staff() {
    let mut bench = with_ana(|_| {});
    // A rule that listens to sales alone is asked all the same.
    bench.rules.plugins[2].events = vec!["sale.completed".into()];
    let place = |id: &str, time: &str, tier: Value| {
        let data = json!({"tier": tier, "reason": "press"});
        bench.tell(&act(id, "tier.overridden", time, data)).unwrap()
    };
    assert_eq!(
        tier(&place("a", "2024-05-02T10:00:00Z", json!("gold"))),
        Some("gold")
    );
    let back = place("b", "2024-05-03T10:00:00Z", Value::Null);
    assert_eq!(tier(&back), None);
    assert_eq!(back.tier.unwrap().reason, "spend in 365 days");
}

#[test]
fn a_placement_names_a_tier_of_the_shop_and_a_time_ahead() {
    let bench = with_ana(|_| {});
    let with = |data: Value| {
        code(
            &bench,
            &act("a", "tier.overridden", "2024-05-02T10:00:00Z", data),
        )
    };
    let is = |code: &str, at: &str| (code.to_owned(), at.to_owned());
    assert_eq!(
        with(json!({"tier": "golden", "reason": "press"})),
        is("unknown-tier", "/data/tier")
    );
    assert_eq!(with(json!({"reason": "press"})), is("malformed", "/data"));
    assert_eq!(
        with(json!({"tier": "gold", "reason": "press", "until": "2024-05-02T10:00:00Z"})),
        is("not-ahead", "/data/until")
    );
    assert_eq!(
        with(json!({"tier": null, "reason": "press", "until": "2024-06-02T10:00:00Z"})),
        is("until-without-tier", "/data/until")
    );
}

#[test]
fn the_registry_says_who_sets_a_tag_and_how_it_is_spelt() {
    let registry = |file: &mut ShopFile| {
        file.tags = vec![
            TagRule {
                synonyms: vec!["vip".into(), "V.I.P.".into()],
                ..tag("VIP", &[SetBy::Pos, SetBy::Staff])
            },
            tag("press", &[SetBy::Staff]),
            tag("regular", &[SetBy::Rules]),
        ];
    };
    let bench = with_ana(registry);
    let told = |who: SenderKind, id: &str, tag: &str| {
        let added = act(id, "tag.added", "2024-05-02T10:00:00Z", json!({"tag": tag}));
        let told = bench.tell_as(who, &added);
        told.map(|outcome| outcome.tags.set)
            .map_err(|refusal| (refusal.code().to_owned(), refusal.to_string()))
    };
    use SenderKind::{Operator, Pos, Staff};
    assert_eq!(told(Pos, "1", "V.I.P."), Ok(vec!["VIP".into()]));
    assert_eq!(told(Pos, "2", "vip"), Ok(vec![]), "it is the same tag");
    let (code, why) = told(Pos, "3", "press").unwrap_err();
    assert_eq!(code, "tag-not-open");
    assert!(why.contains("set by staff, not by pos"), "{why}");
    let (code, why) = told(Pos, "4", "VIPS").unwrap_err();
    assert_eq!(code, "tag-not-open");
    assert!(why.contains("did you mean \"VIP\"?"), "{why}");
    assert_eq!(told(Staff, "5", "press"), Ok(vec!["press".into()]));
    assert_eq!(told(Staff, "6", "regular").unwrap_err().0, "tag-not-open");
    assert_eq!(
        told(Staff, "7", "friends"),
        Ok(vec!["friends".into()]),
        "the shop is open"
    );
    assert_eq!(told(Operator, "8", "regular"), Ok(vec!["regular".into()]));

    let strict = with_ana(|file| {
        registry(file);
        file.policies.tags = TagPolicy::Registered;
    });
    let added = |tag: &str| {
        act(
            "9",
            "tag.added",
            "2024-05-02T10:00:00Z",
            json!({"tag": tag}),
        )
    };
    let refusal = strict.tell(&added("VPI")).unwrap_err();
    assert_eq!(
        (refusal.code(), refusal.pointer()),
        ("unknown-tag", "/data/tag")
    );
    assert!(
        refusal.to_string().contains("did you mean \"VIP\"?"),
        "{refusal}"
    );
    strict.tell(&added("vip")).unwrap();
}

#[test]
fn a_sale_sets_tags_and_is_never_lost_for_one() {
    let bench = with_ana(|file| file.tags = vec![tag("VIP", &[SetBy::Pos])]);
    let mut sold = sale("s2", "2024-05-02T10:00:00Z", ANA, 1_000);
    sold["data"]["tags_to_add"] = json!(["VIP", "VIPP"]);
    let outcome = bench.tell_as(SenderKind::Pos, &sold).unwrap();
    assert_eq!(outcome.tags.set, ["VIP"]);
    assert_eq!(outcome.points[0].amount, 10);
    assert!(
        outcome
            .notes
            .iter()
            .any(|note| note.contains("\"VIPP\" is not a tag")),
        "{:?}",
        outcome.notes
    );
}

#[test]
fn a_campaigns_tag_ends_by_itself_and_begins_anew_when_it_is_set_again() {
    let bench = with_ana(|file| {
        file.tags = vec![TagRule {
            expires_after_days: Some(10),
            ..tag("spring", &[SetBy::Staff])
        }];
    });
    let set = |id: &str, time: &str| {
        bench
            .tell(&act(id, "tag.added", time, json!({"tag": "spring"})))
            .unwrap()
    };
    set("1", "2024-05-02T10:00:00Z");
    set("2", "2024-05-08T10:00:00Z");
    let has = || {
        bench
            .store
            .only_customer(|it| it.head.tags.contains("spring"))
    };
    bench.clock(calendar::parse("2024-05-18T09:59:59.999Z").unwrap());
    assert!(has());
    bench.clock(calendar::parse("2024-05-18T10:00:00Z").unwrap());
    assert!(!has());
    let journal = &bench.store.inner.borrow().journal;
    let (event, _, outcome) = journal.last().unwrap();
    assert_eq!(
        (event.kind.as_str(), outcome.tags.cleared.as_slice()),
        ("review.due", ["spring".to_owned()].as_slice()),
        "its end is in the journal"
    );
}

#[test]
fn a_rule_sets_only_what_the_registry_gives_to_rules_and_is_told_of_locations() {
    for (set_by, is_set) in [(SetBy::Staff, false), (SetBy::Rules, true)] {
        let mut bench = Bench::with(|file| file.tags = vec![tag("soho", &[set_by])]);
        bench.rules.plugins[0].tags = vec![("soho".into(), "Was in SoHo.".into())];
        bench.rules.segments = Box::new(|_, _| {
            Ok(SegmentAnswer {
                tags: vec![TagSetting {
                    tag: "soho".into(),
                    set: true,
                }],
                ..SegmentAnswer::default()
            })
        });
        let outcome = bench
            .tell(&sale("s1", "2024-05-01T10:00:00Z", ANA, 10_000))
            .unwrap();
        assert_eq!(!outcome.tags.set.is_empty(), is_set);
        let word = if is_set {
            "only repeats the location"
        } else {
            "was left alone"
        };
        assert!(
            outcome.notes.iter().any(|it| it.contains(word)),
            "{outcome:?}"
        );
    }
}

#[test]
fn a_shop_whose_registry_contradicts_itself_is_refused() {
    let wrong = |change: &dyn Fn(&mut ShopFile)| {
        let mut file = Bench::new().shop.file;
        change(&mut file);
        Shop::new(file).unwrap_err()
    };
    let vip = || TagRule {
        synonyms: vec!["vip".into()],
        ..tag("VIP", &[])
    };
    assert_eq!(
        wrong(&|file| file.tags = vec![vip(), tag("vip", &[])]),
        ShopError::TagTwice("vip".into())
    );
    assert_eq!(
        wrong(&|file| file.tags = vec![tag(" VIP", &[])]),
        ShopError::TagSpelling(" VIP".into())
    );
    assert_eq!(
        wrong(&|file| {
            file.tags = vec![TagRule {
                means: " ".into(),
                ..vip()
            }]
        }),
        ShopError::TagWithoutMeaning("VIP".into())
    );
    assert_eq!(
        wrong(&|file| file.policies.pos_may = vec!["sale.completed".into()]),
        ShopError::PosMay {
            kind: "sale.completed".into()
        }
    );
}

#[test]
fn a_note_is_in_the_journal_without_its_text() {
    let bench = with_ana(|_| {});
    let data = json!({"note": "Husband is called Carl.", "actor": "staff-7"});
    bench
        .tell_as(
            SenderKind::Pos,
            &act("n", "note.added", "2024-05-02T10:00:00Z", data),
        )
        .unwrap();
    let edit = |data: Value| act("e", "note.edited", "2024-05-03T10:00:00Z", data);
    let name = json!({"source": "till-1", "id": "n"});
    assert_eq!(
        code(&bench, &edit(json!({"edits": name}))),
        ("malformed".into(), "/data".into()),
        "a note is not withdrawn by leaving it out"
    );
    assert_eq!(
        code(&bench, &edit(json!({"edits": name, "note": " "}))),
        ("empty-note".into(), "/data/note".into())
    );
    bench
        .tell(&edit(json!({"edits": name, "note": null})))
        .unwrap();
    for (event, _, outcome) in &bench.store.inner.borrow().journal {
        let kept = serde_json::to_string(&**event).unwrap() + &format!("{outcome:?}");
        assert!(!kept.contains("Carl"), "{kept}");
    }
}

#[test]
fn a_point_formula_is_told_who_pays_no_tax_and_not_why() {
    let mut bench = Bench::new();
    bench.rules.points = Box::new(|_, input| {
        let exempt = ("tax_exempt".to_owned(), "true".to_owned());
        let points = match input.customer.attributes == [exempt] {
            true => 7,
            false => 1,
        };
        Ok(PointAnswer {
            awards: vec![crate::native_rules::award(Amount::Base(points), "a test")],
            ..PointAnswer::default()
        })
    });
    let exempt = |id: &str, day: u8, said: Value| {
        let time = format!("2024-05-0{day}T10:00:00Z");
        act(id, "customer.updated", &time, json!({"tax_exempt": said}))
    };
    let earned = |id: &str, day: u8| {
        let sold = sale(id, &format!("2024-05-0{day}T10:00:00Z"), ANA, 1_000);
        bench.tell(&sold).unwrap().points[0].amount
    };
    assert_eq!(
        code(&bench, &exempt("x", 1, json!({"reason": " "}))),
        (
            "reason-required".to_owned(),
            "/data/tax_exempt/reason".to_owned()
        )
    );
    assert_eq!(earned("1", 2), 1);
    let school = exempt("2", 3, json!({"reason": "a school"}));
    bench.tell(&school).unwrap();
    assert_eq!(earned("3", 4), 7);
    bench.tell(&exempt("4", 5, Value::Null)).unwrap();
    assert_eq!(earned("5", 6), 1);
    for (event, ..) in &bench.store.inner.borrow().journal {
        let kept = serde_json::to_string(&**event).unwrap();
        assert!(!kept.contains("school"), "{kept}");
    }
}

#[test]
fn declared_fields_are_checked_kept_and_seen_by_rules_unless_they_are_personal() {
    let mut bench = Bench::with(|file| {
        let fields = json!([
            {"key": "boot_size", "type": "number", "purpose": "Which boots to bring.", "min": 1, "max": 60},
            {"key": "child", "type": "text", "purpose": "To ask how they are.", "personal": true},
        ]);
        file.profile.fields = serde_json::from_value(fields).unwrap();
    });
    bench.rules.segments = Box::new(|_, input| {
        let wide = ("boot_size".to_owned(), "42.5".to_owned());
        Ok(SegmentAnswer {
            memberships: vec![crate::native_rules::member(
                "regular",
                input.customer.attributes == [wide],
            )],
            ..SegmentAnswer::default()
        })
    });
    let profile = |id: &str, fields: Value| {
        act(
            id,
            "customer.updated",
            "2024-05-01T10:00:00Z",
            json!({"fields": fields}),
        )
    };
    let refused = |fields: Value| code(&bench, &profile("x", fields));
    let is = |code: &str, at: &str| (code.to_owned(), at.to_owned());
    assert_eq!(
        refused(json!({"boot_size": 61})),
        is("field-value", "/data/fields/boot_size")
    );
    assert_eq!(
        refused(json!({"bootsize": 42})),
        is("unknown-field", "/data/fields/bootsize")
    );
    let outcome = bench
        .tell(&profile(
            "1",
            json!({"boot_size": "42.50", "child": "Carl"}),
        ))
        .unwrap();
    assert_eq!(outcome.segments.entered, ["regular"]);
    let mut sold = sale("2", "2024-05-02T10:00:00Z", ANA, 1_000);
    sold["data"]["fields"] = json!({"boot_size": null});
    let outcome = bench.tell(&sold).unwrap();
    assert_eq!(
        outcome.segments.left,
        ["regular"],
        "asked at the checkout, in the same sale"
    );
    for (event, ..) in &bench.store.inner.borrow().journal {
        let kept = serde_json::to_string(&**event).unwrap();
        assert!(!kept.contains("Carl"), "{kept}");
    }
}
