//! How plugins stand to each other, and what stays live when a new one does not fit.

use crate::given::{candidate, engine, input, sale, shop, shop_with};
use stampcard_pipeline::rules::Rules;
use stampcard_pipeline::shop::Shop;
use stampcard_runtime::{Candidate, RuleBook};

/// A plugin that awards one point, with what else its manifest says.
fn plugin(name: &str, more: &str) -> Candidate {
    candidate(name, "hostile", "point-formula", more)
}

fn load(shop: &Shop, candidates: Vec<Candidate>, previous: Option<&RuleBook>) -> RuleBook {
    RuleBook::load(engine(), shop, candidates, &[], previous)
}

fn names(book: &RuleBook) -> Vec<&str> {
    book.plugins()
        .iter()
        .map(|plugin| plugin.name.as_str())
        .collect()
}

/// What is not loaded, with the version that is live instead.
fn failures(book: &RuleBook) -> Vec<(String, Option<&str>)> {
    let failure = |it: &'_ stampcard_runtime::NotLoaded| it.reason.to_string();
    book.not_loaded()
        .iter()
        .map(|it| (failure(it), it.live.as_deref()))
        .collect()
}

#[test]
fn plugins_run_in_declared_order_then_by_name_each_behind_those_it_builds_on() {
    for (declared, plugins, expected) in [
        (
            &[][..],
            &[("c", ""), ("a", ""), ("b", "")][..],
            &["a", "b", "c"][..],
        ),
        (
            &["c", "a"],
            &[("a", ""), ("b", ""), ("c", "")],
            &["c", "a", "b"],
        ),
        (
            &["a", "b"],
            &[("a", "after = ['b']"), ("b", "after = ['c']"), ("c", "")],
            &["c", "b", "a"],
        ),
        (
            &["a", "b", "c"],
            &[("a", "after = ['c']"), ("b", ""), ("c", "")],
            &["b", "c", "a"],
        ),
    ] {
        let candidates = plugins
            .iter()
            .map(|(name, more)| plugin(name, more))
            .collect();
        let book = load(&shop_with(&[], declared), candidates, None);
        assert_eq!(
            names(&book),
            expected,
            "{declared:?} {plugins:?}: {:?}",
            failures(&book)
        );
    }
}

#[test]
fn a_round_of_plugins_is_refused_and_names_itself() {
    let candidates = vec![
        plugin("a", "after = ['b']"),
        plugin("b", "after = ['c']"),
        plugin("c", "after = ['b']"),
        plugin("d", ""),
    ];
    let book = load(&shop(), candidates, None);
    assert_eq!(names(&book), ["d"]);
    let failures = failures(&book);
    assert_eq!(
        failures[0].0,
        "b would have to decide before itself: b after c after b"
    );
    assert!(
        failures[1]
            .0
            .starts_with("a decides after b, which is not among"),
        "{failures:?}"
    );
}

#[test]
fn a_key_has_one_owner() {
    let vip = "[segments.vip]\nexplain = 'Spends a lot.'";
    let candidates = vec![
        plugin("a", vip),
        plugin("b", vip),
        plugin("c", "[tags.vip]\nexplain = 'A tag is no segment.'"),
    ];
    let book = load(&shop(), candidates, None);
    assert_eq!(names(&book), ["a", "c"]);
    assert_eq!(
        failures(&book),
        [(
            "b owns the segment `vip`, which a owns already; one of them must leave it".into(),
            None
        )]
    );
}

#[test]
fn who_is_live_keeps_its_key_from_who_comes_new() {
    let vip = "[segments.vip]\nexplain = 'Spends a lot.'";
    let before = load(&shop(), vec![plugin("b", vip)], None);
    let book = load(
        &shop(),
        vec![plugin("a", vip), plugin("b", vip)],
        Some(&before),
    );
    assert_eq!(names(&book), ["b"]);
    assert!(
        failures(&book)[0]
            .0
            .starts_with("a owns the segment `vip`, which b owns already")
    );
}

#[test]
fn a_tier_must_be_the_shops() {
    let candidates = |tier: &str| vec![plugin("a", &format!("[tiers.{tier}]\nexplain = 'x'"))];
    assert_eq!(names(&load(&shop(), candidates("gold"), None)), ["a"]);
    let book = load(&shop(), candidates("bronze"), None);
    let expected = "a decides about the tier `bronze`, which the shop does not have; its tiers are silver, gold";
    assert_eq!(failures(&book), [(expected.into(), None)]);
}

#[test]
fn a_bad_version_leaves_the_old_one_live_and_says_so() {
    let good = plugin("a", "");
    let newer = |text: &str| Candidate {
        file: good.file.replace("1.0.0", "2.0.0") + text,
        ..good.clone()
    };
    let before = load(&shop(), vec![good.clone()], None);
    let broken = Candidate {
        component: Some(b"\0asm\x0d\0\x01\0junk".to_vec()),
        ..newer("")
    };
    for (bad, words) in [
        (broken, "a.wasm: the component is not valid"),
        (newer("[limits]\nfuels = 1"), "did you mean `fuel`"),
        (
            newer("after = ['b']"),
            "decides after b, which is not among",
        ),
        (newer("[tiers.bronze]\nexplain = 'x'"), "the tier `bronze`"),
    ] {
        let book = load(&shop(), vec![bad], Some(&before));
        assert_eq!(book.plugins(), before.plugins());
        let failures = failures(&book);
        assert!(failures[0].0.contains(words), "{failures:?}");
        assert_eq!(failures[0].1, Some("1.0.0"));
        assert!(
            book.point_formula(0, &sale("a", 1), &input())
                .result
                .is_ok()
        );
    }
    let book = load(&shop(), vec![newer("")], Some(&before));
    assert_eq!(
        (book.plugins()[0].version.as_str(), failures(&book)),
        ("2.0.0", Vec::new())
    );
}

#[test]
fn what_is_gone_from_the_folder_is_gone_from_the_book() {
    let before = load(&shop(), vec![plugin("a", ""), plugin("b", "")], None);
    let book = load(&shop(), vec![plugin("b", "")], Some(&before));
    assert_eq!(names(&book), ["b"]);
}

#[test]
fn a_rule_book_in_use_does_not_change_when_the_next_one_is_loaded() {
    let before = load(&shop(), vec![plugin("a", "")], None);
    let event = sale("a", 1);
    let first = before.point_formula(0, &event, &input()).result;
    drop(load(&shop(), vec![], Some(&before)));
    assert_eq!(before.point_formula(0, &event, &input()).result, first);
}
