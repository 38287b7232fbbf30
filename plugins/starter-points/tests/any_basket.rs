//! What must be true of the base award for any basket.

use proptest::prelude::*;
use serde_json::{Value, json};
use stampcard_sdk::{Role, cases};
use starter_points::StarterPoints;

fn lines() -> impl Strategy<Value = Vec<Value>> {
    let goods = prop::sample::select(vec!["tea", "tobacco", "cups"]);
    let line = (1i64..20, 0i64..50_000, 0i64..1_000, goods).prop_map(
        |(pieces, price, discount, category)| {
            json!({
                "quantity": pieces * 1_000,
                "unit_price": price,
                "discount": discount.min(pieces * price),
                "category": category,
            })
        },
    );
    prop::collection::vec(line, 1..12)
}

fn base_points(config: &Value, channel: &str, sale: &Value) -> i64 {
    let shop = cases::default_shop();
    let input = json!({"event": {"channel": channel, "body": {"Sale": sale}}});
    let input = cases::complete(&input, &shop).unwrap();
    let config = config.to_string();
    let answer = cases::ask::<StarterPoints>(Role::PointFormula, &config, &shop, &input).unwrap();
    let awards = answer["awards"].as_array().unwrap();
    awards
        .iter()
        .map(|award| award["amount"]["Base"].as_i64().unwrap_or(0))
        .sum()
}

fn config(base: usize, tobacco: bool) -> Value {
    let base = ["total", "goods_before_discount", "goods_after_discount"][base];
    let excluded: &[&str] = if tobacco { &["tobacco"] } else { &[] };
    json!({"points": 1, "base": base, "exclude": {"categories": excluded}})
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn a_dollar_is_a_dollar_in_every_channel(
        lines in lines(),
        shipping in 0i64..2_000,
        base in 0usize..3,
        tobacco: bool,
    ) {
        let config = config(base, tobacco);
        let sale = json!({"lines": lines, "shipping": shipping});
        let pos = base_points(&config, "Pos", &sale);
        for channel in ["Online", "Phone", "Other"] {
            prop_assert_eq!(base_points(&config, channel, &sale), pos);
        }
    }

    #[test]
    fn points_are_the_whole_units_of_the_total(lines in lines(), shipping in 0i64..2_000) {
        let total: i64 = shipping + lines
            .iter()
            .map(|line| {
                let number = |name: &str| line[name].as_i64().unwrap();
                number("quantity") / 1_000 * number("unit_price") - number("discount")
            })
            .sum::<i64>();
        let sale = json!({"lines": lines, "shipping": shipping});
        prop_assert_eq!(base_points(&config(0, false), "Pos", &sale), total / 100);
    }

    #[test]
    fn leaving_something_out_never_earns_more(lines in lines(), base in 0usize..3) {
        let sale = json!({"lines": lines});
        let all = base_points(&config(base, false), "Pos", &sale);
        let some = base_points(&config(base, true), "Pos", &sale);
        prop_assert!(some <= all);
    }
}
