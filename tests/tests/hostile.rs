//! Plugins that ask for what is not theirs: each attempt has its typed end, nothing of it is
//! committed, and the sale, the other plugins and the other customers are as if it had not been.

use serde_json::{Value, json};
use stampcard_tests::binary::{root, target};
use stampcard_tests::{Shop, sale};

#[path = "../guests/usurper/src/usurpations.rs"]
mod usurpations;
use usurpations::Usurpation;

/// How an attempt ends.
enum End {
    /// It is no attempt: everything is taken.
    Taken,
    /// The answer of that role is refused with these words, and what the other roles say is taken.
    Refused(&'static str, &'static str),
    /// It is taken as far as the shop allows, and the explanation says these words.
    Capped(&'static str),
    /// It is refused once it is too much; until then it is taken.
    Exhausted(&'static str),
}

fn expected(usurpation: Usurpation) -> End {
    use End::{Capped, Exhausted, Refused, Taken};
    const SEGMENT: &str = "segment-rule";
    const TIER: &str = "tier-rule";
    const FOLLOW_UP: &str = "follow-up-trigger";
    match usurpation {
        Usurpation::None => Taken,
        Usurpation::UnknownSegment => {
            Refused(SEGMENT, "segment \"everybody\" is not in the manifest")
        }
        Usurpation::SegmentOfAnother => Refused(SEGMENT, "segment \"vip\" is not in the manifest"),
        Usurpation::ForeignTag => Refused(SEGMENT, "tag \"VIP\" is not registered"),
        Usurpation::EndsBeforeItBegins => Refused(SEGMENT, "until is not ahead"),
        Usurpation::EndsInTenThousandYears => Refused(SEGMENT, "too far ahead"),
        Usurpation::UnknownTier => Refused(TIER, "tier \"diamond\" is not a tier of the shop"),
        Usurpation::TierOfAnother => Refused(TIER, "tier \"gold\" is not in the manifest"),
        Usurpation::TierUntilYesterday => Refused(TIER, "keep-until is not ahead"),
        Usurpation::DiscountOverTheCap => Capped("was capped from 9000 to 2000 basis points"),
        Usurpation::DiscountOverAll => Refused(FOLLOW_UP, "above 100 %"),
        Usurpation::NegativeDiscount => Refused(FOLLOW_UP, "below nothing"),
        Usurpation::DiscountOnNoLine => Refused(FOLLOW_UP, "a line that the basket does not have"),
        Usurpation::ReviewStorm => Exhausted("more than 24 reviews of one customer in a day"),
        Usurpation::ReviewYesterday => Refused(SEGMENT, "is not ahead"),
        Usurpation::MessageFromThePast => Refused(FOLLOW_UP, "before the event"),
        Usurpation::EndlessPrompt => Refused(FOLLOW_UP, "200"),
        Usurpation::EndlessReceipt => Refused(FOLLOW_UP, "80"),
        Usurpation::Indiscreet => Refused(FOLLOW_UP, "email"),
        Usurpation::Flood => Refused(FOLLOW_UP, "301 actions, and at most 256"),
    }
}

fn shop_with(component: &[u8], usurpation: Usurpation) -> Shop {
    let shop = Shop::new();
    std::fs::remove_file(shop.path("plugins/starter-tiers.toml"))
        .expect("the starter pack is there");
    shop.lay_over("merchant.toml", "[caps]\ndiscount_share = 2000");
    shop.write("plugins/usurper.wasm", component);
    shop.write(
        "plugins/usurper.toml",
        format!(
            "name = \"usurper\"\nversion = \"1.0.0\"\nevents = [\"sale.completed\"]\n\
             roles = [\"segment-rule\", \"tier-rule\", \"follow-up-trigger\"]\nmessages_to = \"everybody\"\n\
             configuration = {{ type = \"object\" }}\n\n[segments.mine]\nexplain = \"Is mine.\"\n\n\
             [tiers.silver]\nexplain = \"Is mine, too.\"\n\n[config]\ntries = \"{usurpation:?}\"\n"
        ),
    );
    shop
}

fn bought(who: &str, id: &str, time: &str) -> Value {
    let customer = json!({"email": format!("{who}@example.com")});
    sale(id, time, json!({"customer": customer, "total": 1_000}))
}

#[test]
fn whoever_decides_what_is_not_theirs_is_refused_by_name_and_costs_nobody_else_anything() {
    let package = root().join("tests/guests/usurper");
    let component =
        stampcard_build::component(package, stampcard_build::shared_target_dir(target()))
            .expect("the usurper builds");
    for usurpation in Usurpation::ALL.iter().copied() {
        let shop = shop_with(&component, usurpation);
        shop.ingest(&[
            bought("ana", "1", "2026-03-02T10:00:00-05:00"),
            // The clock comes along, whatever is due by then.
            bought("bea", "2", "2026-03-05T10:00:00-05:00"),
        ]);
        let ran = shop.run("explain", &["till-1", "1", "--json"]);
        assert_eq!(ran.code, 0, "{usurpation:?}: {}", ran.stderr);
        let it = ran.json();
        let outcome = &it["outcome"];
        assert_eq!(it["rerun"], "same", "{usurpation:?}");
        assert_eq!(
            (&outcome["status"], &outcome["customer"]["balance"]),
            (&json!("applied"), &json!(10)),
            "{usurpation:?}: the sale is taken and the starter pack awards"
        );
        let calls = outcome["plugins"].as_array().expect("a list");
        let status = |role: &str| {
            let call = calls
                .iter()
                .find(|call| call["name"] == "usurper" && call["role"] == role)
                .unwrap_or_else(|| panic!("{usurpation:?}: {role} was not asked"));
            (
                call["status"].as_str().expect("a status").to_owned(),
                call["message"].as_str().unwrap_or_default().to_owned(),
            )
        };
        let prompts = outcome["prompts"].as_array().expect("a list");
        let its_own: Vec<&Value> = prompts
            .iter()
            .filter(|prompt| prompt["plugin"] == "usurper")
            .collect();
        let roles = ["segment-rule", "tier-rule", "follow-up-trigger"];
        let refused = match expected(usurpation) {
            End::Refused(role, words) => {
                let (status, message) = status(role);
                assert_eq!(status, "answer", "{usurpation:?}: {message}");
                assert!(message.contains(words), "{usurpation:?}: {message}");
                Some(role)
            }
            End::Capped(words) => {
                assert!(
                    outcome["notes"].to_string().contains(words),
                    "{usurpation:?}: {outcome:#}"
                );
                assert_eq!(its_own[0]["discount"]["value"], json!({"share": 2_000}));
                None
            }
            End::Exhausted(words) => {
                exhausted(&shop, words);
                None
            }
            End::Taken => None,
        };
        for role in roles.into_iter().filter(|role| Some(*role) != refused) {
            assert_eq!(status(role).0, "ok", "{usurpation:?}: {role}");
        }
        let segments = outcome["customer"]["segments"].to_string();
        assert_eq!(
            segments.contains("mine"),
            refused != Some("segment-rule"),
            "{usurpation:?}: {segments}"
        );
        assert!(
            !segments.contains("vip") && !segments.contains("everybody"),
            "{usurpation:?}"
        );
        let tier = if refused == Some("tier-rule") {
            Value::Null
        } else {
            json!("silver")
        };
        assert_eq!(outcome["customer"]["tier"], tier, "{usurpation:?}");
        let exported = shop.exported("customers", &[]);
        let of_ana = exported
            .iter()
            .find(|customer| customer["identities"].to_string().contains("ana@"));
        let told = match refused {
            Some("tier-rule") => json!("unknown"),
            _ => json!("silver"),
        };
        assert_eq!(
            of_ana.expect("Ana is there")["tier"],
            told,
            "{usurpation:?}: a tier that could not be decided is not told as none"
        );
        assert_eq!(
            its_own.is_empty(),
            refused == Some("follow-up-trigger"),
            "{usurpation:?}"
        );
        shop.check();
    }
}

/// A plugin that wants to be asked every second is asked so often a day, and is then told that it is
/// at fault; which is all that the journal has of it.
fn exhausted(shop: &Shop, words: &str) {
    let events = shop.exported("events", &[]);
    let reviews: Vec<&Value> = events
        .iter()
        .filter(|event| event.to_string().contains("review.due"))
        .collect();
    assert_eq!(
        reviews.len(),
        1,
        "one for the customer whose day is over: {reviews:#?}"
    );
    let database = rusqlite::Connection::open(shop.database()).expect("a database");
    let (source, id): (String, String) = database
        .query_row(
            "SELECT source, id FROM journal WHERE kind = 'review.due'",
            [],
            |row| Ok((row.get(0)?, row.get(1)?)),
        )
        .expect("the review is in the journal");
    let told = shop.run("explain", &[&source, &id]);
    assert!(told.stdout.contains(words), "{}", told.stdout);
}
