//! Configurations that cannot be, each refused with its place.

mod life;

use life::configure;

#[test]
fn what_cannot_be_is_refused_where_it_stands() {
    let segment = |body: &str| format!("[segments.s]\nexplain = \"x\"\n{body}");
    let ladder = |steps: &str| {
        let mut text = "[ladders.l]\nspend = {}\nzero = \"outside\"\n".to_owned();
        for (index, step) in steps.split(';').enumerate() {
            text += &format!(
                "[segments.s{index}]\nexplain = \"x\"\nstep = {{ ladder = \"l\"{step} }}\n"
            );
        }
        text
    };
    for (config, problem) in [
        (segment("when = { segment = \"vipp\" }"), "segments.s: there is no segment \"vipp\"; if another plugin has it, add it to `others`"),
        (segment("when = { segment = \"s\" }"), "segments: they go in a circle: s → s"),
        (
            "[segments.a]\nexplain = \"x\"\nwhen = { not = { segment = \"b\" } }\n\
             [segments.b]\nexplain = \"x\"\nwhen = { any = [{ tag = \"T\" }, { enrolled = true }] }\n\
             [tags.T]\nexplain = \"x\"\nwhen = { segment = \"a\" }"
                .into(),
            "segments: they go in a circle: a → b → T → a",
        ),
        (segment("when = { orders = {} }"), "segments.s: a bound is missing: at_least, over, at_most, under or exactly"),
        (segment("when = { orders = { at_least = 3, under = 3 } }"), "segments.s: no number is within these bounds"),
        (segment("when = { share = { at_least = 3 } }"), "segments.s: a share needs a location, a category or a collection"),
        (
            segment("when = { orders = { at_least = 3, location = \"soho\" } }"),
            "segments.s: it needs facts by location; add \"location\" to `facts`",
        ),
        (
            segment("when = { locations = { exactly = 1 } }"),
            "segments.s: it needs facts by location; add \"location\" to `facts`",
        ),
        (
            segment("when = { orders = { at_least = 3, location = \"soho\", channel = \"pos\" } }"),
            "segments.s: one of channel, location, category and collection, not several",
        ),
        (
            format!("facts = [\"category\"]\n{}", segment("when = { spend = { at_least = 3, category = \"tea\", days = 30 } }")),
            "segments.s: days do not go with a location, category or collection: those are counted over the customer's whole life",
        ),
        (segment("when = { events = { event = \"x.review\" } }"), "segments.s: a bound is missing: at_least, over, at_most, under or exactly"),
        (
            segment("when = { events = { event = \"x.review\", attribute_at_least = 4, at_least = 1 } }"),
            "segments.s: attribute_at_least needs `attribute`, such as \"rating\"",
        ),
        (
            segment("leaves = false\nwhen = { this_sale = { from = \"2026-09-14\", until = \"2026-09-01\" } }"),
            "segments.s: this_sale ends on 2026-09-01, before 2026-09-14",
        ),
        (segment("when = { this_sale = { over = 1 } }"), "segments.s: one sale is over at once; say `leaves = false` or `stays_days = …`"),
        (segment("leaves = false\nstays_days = 3\nwhen = { enrolled = true }"), "segments.s: nobody leaves it, so `stays_days` says nothing"),
        (segment("when = { channels = {} }"), "segments.s: channels needs `bought`, `bought_any` or `never`"),
        ("[tags.T]\nexplain = \"x\"\nwhen = { this_sale = { over = 1 } }".into(), "tags.T: one sale is over at once; say `leaves = false`"),
        (format!("others = [\"s\"]\n{}", segment("when = { enrolled = true }")), "others: \"s\" is a segment of this plugin"),
        (segment("step = { ladder = \"l\" }"), "segments.s: there is no ladder \"l\""),
        (ladder(", over = 100"), "ladders.l: the lowest step must have no threshold, so that there is no gap"),
        (ladder(";"), "ladders.l: \"s1\" is a second step without a threshold"),
        (ladder(";, over = 100;, at_least = 101"), "ladders.l: \"s1\" and \"s2\" have the same threshold"),
        (ladder(";, over = 0"), "ladders.l: \"s1\" leaves nothing for the lowest step"),
        (ladder(";, over = 100, at_least = 101"), "segments.s1: a step has `over` or `at_least`, not both"),
        ("[ladders.l]\nspend = {}\nzero = \"lowest\"".into(), "ladders.l: no segment is a step of it"),
        (
            format!("{}leaves = false", ladder(";, over = 100")),
            "segments.s1: a step of a ladder is left as soon as another is reached",
        ),
        // These the schema catches, with the same effect.
        (segment(""), "schema: "),
        (segment("when = { every_week = 27 }"), "schema: "),
        (segment("when = { every_week = 4, tag = \"VIP\" }"), "schema: "),
        (segment("when = { orders = { atleast = 3 } }"), "schema: "),
        ("[ladders.l]\nspend = {}".into(), "schema: "),
        ("[segments.UPPER]\nexplain = \"x\"\nwhen = { enrolled = true }".into(), "schema: "),
        ("[segments.s]\nwhen = { enrolled = true }".into(), "schema: "),
    ] {
        match configure(&config) {
            Ok(_) => panic!("taken:\n{config}"),
            Err(said) if problem == "schema: " => assert!(said.starts_with(problem), "{said}\n{config}"),
            Err(said) => assert_eq!(said, problem, "\n{config}"),
        }
    }
}

#[test]
fn a_day_that_no_year_has_is_refused() {
    for (day, taken) in [("02-29", true), ("02-30", false), ("04-31", false)] {
        let config = format!(
            "[segments.s]\nexplain = \"x\"\n\
             when = {{ seasons = {{ windows = [{{ from = \"{day}\", to = \"12-31\" }}] }} }}"
        );
        assert_eq!(configure(&config).is_ok(), taken, "{day}");
    }
}
