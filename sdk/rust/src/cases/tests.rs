use super::*;
use serde_json::Value;

use crate::prelude::*;

/// A point for so many minor units, and a count of all sales.
struct Every {
    every: Money,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct EveryConfig {
    every: Money,
}

impl Rule for Every {
    type Config = EveryConfig;

    fn configure(config: EveryConfig, _: &Shop) -> crate::Result<Self> {
        match config.every {
            ..=0 => Err(Refusal::rejected("every must be above zero")),
            every => Ok(Self { every }),
        }
    }
}

impl PointFormula for Every {
    fn points(&self, input: &Input) -> crate::Result<PointAnswer> {
        let Some(sale) = input.sale() else {
            return Ok(PointAnswer::nothing());
        };
        let sales: i64 = input.remembered()?;
        PointAnswer::nothing()
            .award(Award::base(sale.total / self.every, "points"))
            .review_at(input.now + DAY)
            .remember(&(sales + 1))
    }
}

crate::export!(Every: PointFormula);

fn outcome(text: Value) -> Result<(), String> {
    let cases = parse(Path::new("some.json"), &text.to_string()).map_err(|it| it.to_string())?;
    for case in &cases {
        run(case, ask::<Every>).map_err(|failure| failure.to_string())?;
    }
    Ok(())
}

fn file(cases: Value) -> Value {
    json!({"role": "point-formula", "config": {"every": 100}, "cases": cases})
}

#[test]
fn a_case_holds_where_every_part_that_it_names_is_as_it_says() {
    let held = outcome(file(json!([
        {
            "name": "one step",
            "input": {"event": {"body": {"Sale": {"total": 3749}}}},
            "expect": {
                "awards": [{"amount": {"Base": 37}, "covers": "Whole"}],
                "after": {"next_review": {"At": "+1d"}, "note": null}
            },
            "remembers": 1
        },
        {
            "name": "steps hand on what was remembered and the time",
            "config": {"every": 1000},
            "steps": [
                {
                    "input": {"now": "2026-03-02T12:00:00Z", "state": 4},
                    "expect": {"awards": [{"amount": {"Base": 0}}]},
                    "remembers": 5
                },
                {
                    "input": {"now": "+2h", "event": {"body": {"Sale": {"total": 2500}}}},
                    "expect": {
                        "awards": [{"amount": {"Base": 2}}],
                        "after": {"next_review": {"At": "2026-03-03T14:00:00Z"}}
                    },
                    "remembers": 6
                },
                {
                    "input": {"event": {"kind": "review.due"}},
                    "expect": {"awards": [], "after": {"memory": "Keep"}},
                    "remembers": 6
                }
            ]
        },
        {
            "name": "a refusal",
            "config": {"every": 0},
            "refused": "above zero"
        },
        {
            "name": "a null takes a key of the file away",
            "config": {"every": null},
            "refused": "missing field `every`"
        },
        {
            "name": "a fault",
            "input": {"state": "not a number"},
            "fault": "invalid type"
        }
    ])));
    assert_eq!(held, Ok(()));
}

#[test]
fn what_is_not_as_a_case_says_is_named() {
    let sale = json!({"event": {"body": {"Sale": {"total": 3749}}}});
    for (case, words) in [
        (
            json!({"input": sale, "expect": {"awards": [{"amount": {"Base": 38}}]}}),
            ".awards[0].amount.Base: expected 38, found 37",
        ),
        (
            json!({"input": sale, "expect": {"awards": []}}),
            ".awards: expected []",
        ),
        (
            json!({"input": sale, "expect": {"award": []}}),
            ".award: the contract has no such field",
        ),
        (
            json!({"input": sale, "expect": {}, "remembers": null}),
            "remembered: expected null, found 1",
        ),
        (json!({"input": sale, "refused": ""}), "was to be refused"),
        (
            json!({"config": {"every": -1}, "expect": {}}),
            "every must be above zero",
        ),
        (
            json!({"config": {"evry": 1}, "expect": {}}),
            "unknown field `evry`",
        ),
        (json!({"input": sale}), "one of expect, refused and fault"),
        (
            json!({"expect": {}, "steps": [{"expect": {}}]}),
            "only they say what to expect",
        ),
        (
            json!({"input": {"custommer": {}}, "expect": {}}),
            "unknown field `custommer`",
        ),
        (
            json!({"input": {"now": "yesterday"}, "expect": {}}),
            "\"yesterday\" is no instant",
        ),
        (
            json!({"input": {"customer": {"created_at": "-3x"}}, "expect": {}}),
            "\"-3x\" is no span",
        ),
        (
            json!({"input": {"event": {"body": {"Sale": {"total": 5, "lines": [{"amount": 4}]}}}}, "expect": {}}),
            "total is 5, and its parts add up to 4",
        ),
        (
            json!({"input": {"event": {"body": {"Other": "{}"}}}, "expect": {}}),
            "event.kind is needed",
        ),
    ] {
        let mut case = case;
        case["name"] = json!("it");
        let problem = outcome(file(json!([case]))).unwrap_err();
        assert!(problem.contains(words), "{problem}\nshould say {words}");
    }
}

#[test]
fn an_answer_that_changes_from_call_to_call_is_a_failure() {
    let text = file(json!([{"name": "it", "expect": {}}])).to_string();
    let case = &parse(Path::new("some.json"), &text).unwrap()[0];
    let mut calls = 0;
    let failure = run(case, |_, _, _, _| {
        calls += 1;
        Ok::<_, Refusal>(json!({"after": {"memory": "Keep"}, "awards": [calls]}))
    });
    assert!(matches!(
        failure.unwrap_err().problem,
        Problem::NotRepeatable(..)
    ));
}

#[test]
fn an_input_is_completed_as_the_host_would_have_sent_it() {
    let shop = default_shop();
    let input = complete(
        &json!({
            "now": "2026-03-08T06:30:00Z",
            "customer": {
                "balance": 40,
                "tier": "gold",
                "segments": ["vip"],
                "consents": ["email"],
                "birthday": {"month": 2, "day": 29}
            },
            "event": {"channel": "Online", "body": {"Sale": {
                "discounts": [{"amount": 100}],
                "shipping": 500,
                "tax": 80,
                "lines": [
                    {"unit_price": 400, "quantity": 2000, "discount": 50},
                    {"amount": 250},
                    {"category": "bread"}
                ]
            }}}
        }),
        &shop,
    )
    .unwrap();

    let sale = input.sale().unwrap();
    let lines: Vec<_> = sale
        .lines
        .iter()
        .map(|line| {
            (
                line.number,
                line.quantity,
                line.unit_price,
                line.amount,
                line.net,
            )
        })
        .collect();
    assert_eq!(
        lines,
        [
            (1, 2_000, 400, 750, 675),
            (2, 1_000, 250, 250, 225),
            (3, 1_000, 0, 0, 0)
        ]
    );
    assert_eq!((sale.total, sale.currency.as_str()), (1_480, "USD"));
    assert_eq!(input.event.kind, "sale.completed");
    assert_eq!(input.event.occurred_at, input.now);

    // 01:30 on the Sunday on which New York turns its clocks on.
    let local = &input.event.local;
    assert_eq!(local.date().to_string(), "2026-03-08");
    assert_eq!((local.hour, local.minute, local.weekday), (1, 30, 7));
    assert_eq!(local.utc_offset, -5 * 3_600);
    assert_eq!(local.next_day - local.day_began, 23 * HOUR);

    assert_eq!(input.customer.tier_name(), Some("gold"));
    assert!(input.customer.in_segment("vip") && input.customer.consents_to("email"));
    let birthday = input.customer.birthday.unwrap();
    assert!(!birthday.today && birthday.known_since == input.customer.created_at);
    assert_eq!(
        Ok(birthday.next),
        instants::read("2027-02-28T00:00:00-05:00", 0)
    );
    assert_eq!(input.so_far.balance_after, 40);
    assert_eq!(input.totals.online.spend, 1_480);
    assert_eq!(input.totals.pos, Tally::default());
    assert_eq!(input.totals.days7.first_at, Some(input.now));
}

#[test]
fn a_birthday_is_the_next_one_and_the_29_of_february_is_the_28_in_other_years() {
    for (now, month, day, today, next) in [
        (
            "2026-02-27T12:00:00-05:00",
            2,
            29,
            false,
            "2026-02-28T00:00:00-05:00",
        ),
        (
            "2026-02-28T12:00:00-05:00",
            2,
            29,
            true,
            "2027-02-28T00:00:00-05:00",
        ),
        (
            "2027-12-01T12:00:00-05:00",
            2,
            29,
            false,
            "2028-02-29T00:00:00-05:00",
        ),
        (
            "2028-02-28T12:00:00-05:00",
            2,
            29,
            false,
            "2028-02-29T00:00:00-05:00",
        ),
        (
            "2026-07-04T23:59:00-04:00",
            7,
            4,
            true,
            "2027-07-04T00:00:00-04:00",
        ),
        (
            "2026-07-05T00:00:00-04:00",
            7,
            4,
            false,
            "2027-07-04T00:00:00-04:00",
        ),
    ] {
        let customer = json!({"birthday": {"month": month, "day": day}});
        let input = json!({"now": now, "customer": customer});
        let input = complete(&input, &default_shop()).unwrap();
        let birthday = input.customer.birthday.unwrap();
        assert_eq!(birthday.today, today, "{now}");
        assert_eq!(Ok(birthday.next), instants::read(next, 0), "{now}");
    }
}

#[test]
fn the_kind_and_the_body_of_an_event_follow_from_each_other() {
    for (event, kind, channel) in [
        (json!({}), "sale.completed", Some(Channel::Pos)),
        (
            json!({"body": {"Return": {}}}),
            "return.completed",
            Some(Channel::Pos),
        ),
        (
            json!({"body": {"Tag": {"tag": "x", "added": true}}}),
            "tag.added",
            None,
        ),
        (
            json!({"kind": "loyalty.enrolled"}),
            "loyalty.enrolled",
            None,
        ),
        (json!({"kind": "x.attended"}), "x.attended", None),
    ] {
        let input = complete(&json!({"event": event}), &default_shop()).unwrap();
        assert_eq!(input.event.kind, kind);
        assert_eq!(input.event.channel, channel);
        let again = complete(&json!({"event": {"kind": kind}}), &default_shop()).unwrap();
        assert_eq!(
            std::mem::discriminant(&again.event.body),
            std::mem::discriminant(&input.event.body)
        );
    }
}

#[test]
fn every_instant_of_the_contract_may_be_written_for_people() {
    let contract = include_str!("../../../../wit/v0.1/types.wit");
    let fields = contract.lines().filter_map(|line| {
        let line = line.trim().strip_suffix(',')?;
        if line == "at(instant)" {
            return Some("At".to_owned());
        }
        let (name, kind) = line.split_once(": ")?;
        let instant = kind == "instant" || kind == "option<instant>";
        instant.then(|| name.trim_start_matches('%').replace('-', "_"))
    });
    let mut fields: Vec<String> = fields.collect();
    fields.sort();
    fields.dedup();
    assert_eq!(fields, instants::FIELDS);
}

#[test]
fn a_folder_without_cases_is_an_error() {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    assert!(matches!(load(&source), Err(LoadError::NoFiles { .. })));
    assert!(matches!(load("nowhere"), Err(LoadError::Read { .. })));
}
