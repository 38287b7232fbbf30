//! A shop that never was: Juniper & Oak sells clothes and things for the home in three stores of
//! New York and online. Everything it does is drawn from a seed and a date, so that the same two
//! give the same events, byte for byte. It knows nothing of the host.

mod dice;
mod goods;
mod people;

use dice::Dice;
use goods::{Basket, basket_of};
use jiff::civil::{Date, DateTime, Time};
use jiff::tz::TimeZone;
use jiff::{Timestamp, ToSpan};
use people::{Habit, Person};
use serde_json::{Value, json};

/// The zone of all three stores.
pub const TIME_ZONE: &str = "America/New_York";

/// Its stores, for `merchant.toml`.
pub const LOCATIONS: &str = r#"
[[locations]]
id = "soho"
name = "SoHo"
kind = "store"

[[locations]]
id = "brooklyn"
name = "Brooklyn"
kind = "store"

[[locations]]
id = "hudson"
name = "Hudson"
kind = "store"
"#;

const STORES: [&str; 3] = ["soho", "brooklyn", "hudson"];
/// Days of history before the day: long enough for every rhythm, for tiers and for who has lapsed.
const SEASON_DAYS: i64 = 91;

/// How large the shop is.
#[derive(Clone, Copy, Debug)]
pub struct Size {
    pub customers: u32,
    /// Guest sales in each store and day.
    pub guests: u32,
}

/// Thousands of regulars: some 20,000 events in a season, and a thousand in a day.
pub const BUSY: Size = Size {
    customers: 3_000,
    guests: 14,
};
/// Enough for every kind of customer to be there.
pub const SMALL: Size = Size {
    customers: 120,
    guests: 4,
};

/// A season and the day after it.
pub struct Generated {
    /// What was sold before the day, in order.
    pub season: Vec<Value>,
    /// One day from opening to closing, in order.
    pub day: Vec<Value>,
    pub cast: Cast,
}

/// The customers whose day is worth following, by their e-mail.
pub struct Cast {
    /// Buys for 600 in one visit and comes back in the afternoon.
    pub vip: String,
    /// Buys online in the morning and in a store in the evening.
    pub both: String,
    /// Joins the programme at the till.
    pub new: String,
    /// Has not been seen for two months, and comes in today.
    pub back: String,
    /// Spent over 500 in one visit last month, and is recognised today.
    pub known_vip: String,
}

impl Generated {
    pub fn new(seed: u64, day: Date, size: Size) -> Generated {
        let dice = &mut Dice::new(seed);
        let people: Vec<Person> = (0..size.customers)
            .map(|number| Person::new(number, dice))
            .collect();
        let mut season = Told::default();
        members(day, &people, &mut season);
        for ago in (1..=SEASON_DAYS).rev() {
            let date = day.saturating_sub(ago.days());
            ordinary_sales(date, ago, &people, size, &mut season, dice);
        }
        let mut today = Told::default();
        ordinary_sales(day, 0, &people, size, &mut today, dice);
        doors(day, &mut today, dice);
        arrivals(day, &people, &mut today, dice);
        let cast = stories(day, &mut season, &mut today, dice);
        Generated {
            season: season.in_order(),
            day: today.in_order(),
            cast,
        }
    }
}

/// The same events in another order, drawn from a seed (Fisher and Yates).
pub fn shuffled(mut events: Vec<Value>, seed: u64) -> Vec<Value> {
    let dice = &mut Dice::new(seed);
    for last in (1..events.len()).rev() {
        events.swap(last, dice.below(last as u64 + 1) as usize);
    }
    events
}

/// Events as they are made, in no order.
#[derive(Default)]
struct Told {
    events: Vec<(Timestamp, Value)>,
}

impl Told {
    fn tell(&mut self, kind: &str, source: &str, at: DateTime, data: Value) {
        let zone = TimeZone::get(TIME_ZONE).expect("the zone is known");
        let zoned = zone
            .to_ambiguous_zoned(at)
            .compatible()
            .expect("a day of our time has every hour");
        // The number makes the name unique; the time makes it readable.
        let id = format!("{}-{:05}", zoned.strftime("%Y%m%d"), self.events.len() + 1);
        let event = json!({
            "specversion": "1.0", "source": source, "id": id, "type": kind,
            "time": zoned.strftime("%Y-%m-%dT%H:%M:%S%:z").to_string(), "data": data,
        });
        self.events.push((zoned.timestamp(), event));
    }

    fn in_order(mut self) -> Vec<Value> {
        self.events.sort_by_key(|(at, _)| *at);
        self.events.into_iter().map(|(_, event)| event).collect()
    }
}

/// The members that Juniper & Oak had before: imported with what they agreed to.
fn members(day: Date, people: &[Person], told: &mut Told) {
    let at = day.saturating_sub((SEASON_DAYS + 1).days()).at(6, 0, 0, 0);
    for person in people.iter().filter(|person| person.habit != Habit::New) {
        let mut profile = person.profile(STORES[person.home as usize]);
        profile["historical"] = true.into();
        told.tell("customer.created", "import", at, profile);
        if person.has_joined() {
            let joined = json!({"customer": person.everything(), "historical": true});
            told.tell(
                "loyalty.enrolled",
                "import",
                at.saturating_add(1.second()),
                joined,
            );
        }
    }
}

/// What everybody buys on a day, by their habits, and those whom nobody knows.
fn ordinary_sales(
    date: Date,
    ago: i64,
    people: &[Person],
    size: Size,
    told: &mut Told,
    dice: &mut Dice,
) {
    for person in people.iter().filter(|person| person.buys(date, ago)) {
        let online = match person.habit {
            Habit::Online => true,
            Habit::Both => dice.one_in(2),
            _ => false,
        };
        let basket = basket_of(dice);
        if online {
            sell_online(date, person, &basket, told, dice);
        } else {
            sell_in_store(date, person, &basket, ago == 0, told, dice);
        }
    }
    for store in STORES {
        for _ in 0..size.guests {
            let (at, till) = (date.to_datetime(opening_hours(dice)), till(store, dice));
            let data = basket_of(dice).sale("pos", Some(store), &till, Value::Null, dice);
            told.tell("sale.completed", &till, at, data);
        }
    }
}

fn sell_online(date: Date, person: &Person, basket: &Basket, told: &mut Told, dice: &mut Dice) {
    let at = date.to_datetime(Time::constant(
        dice.below(24) as i8,
        dice.below(60) as i8,
        dice.below(60) as i8,
        0,
    ));
    let order = told.events.len() + 1;
    let mut data = basket.sale("online", None, "web", person.online(), dice);
    data["order"] = json!({"system": "juniper-web", "id": format!("{date}-{order}")});
    told.tell("sale.completed", "juniper-web", at, data);
}

/// A sale at a till. On the day itself the till asks first: who is it, and what may they get?
fn sell_in_store(
    date: Date,
    person: &Person,
    basket: &Basket,
    asks: bool,
    told: &mut Told,
    dice: &mut Dice,
) {
    let store = if dice.one_in(6) {
        STORES[dice.below(3) as usize]
    } else {
        STORES[person.home as usize]
    };
    let (at, till) = (date.to_datetime(opening_hours(dice)), till(store, dice));
    if asks {
        let seen = json!({"customer": person.at_the_till(), "channel": "pos", "location": store, "method": "card"});
        told.tell(
            "customer.identified",
            &till,
            at.saturating_sub(90.seconds()),
            seen,
        );
        if dice.one_in(2) {
            let open = basket.checkout("pos", Some(store), person.at_the_till());
            told.tell(
                "checkout.started",
                &till,
                at.saturating_sub(40.seconds()),
                open,
            );
        }
    }
    let data = basket.sale("pos", Some(store), &till, person.at_the_till(), dice);
    told.tell("sale.completed", &till, at, data);
}

/// The counters above the doors, every half hour.
fn doors(date: Date, told: &mut Told, dice: &mut Dice) {
    for store in STORES {
        for half_hour in 20..40i8 {
            let at = date.at(half_hour / 2, half_hour % 2 * 30, 0, 0);
            let door = format!("door-{store}");
            told.tell(
                "visit.counted",
                &door,
                at,
                json!({"location": store, "count": 5 + dice.below(40)}),
            );
        }
    }
}

/// Those who open an account, change a profile, or say what may be sent to them.
fn arrivals(date: Date, people: &[Person], told: &mut Told, dice: &mut Dice) {
    for person in people.iter().filter(|person| person.habit == Habit::New) {
        let at = date.to_datetime(opening_hours(dice));
        let store = STORES[person.home as usize];
        let till = till(store, dice);
        told.tell("customer.created", &till, at, person.profile(store));
        let joined = json!({"customer": person.at_the_till(), "channel": "pos", "location": store, "staff": "staff-3"});
        told.tell(
            "loyalty.enrolled",
            &till,
            at.saturating_add(30.seconds()),
            joined,
        );
        let data = basket_of(dice).sale("pos", Some(store), &till, person.at_the_till(), dice);
        told.tell(
            "sale.completed",
            &till,
            at.saturating_add(200.seconds()),
            data,
        );
    }
    for person in people
        .iter()
        .filter(|person| person.habit == Habit::Online)
        .step_by(7)
    {
        let at = date.to_datetime(opening_hours(dice));
        let data = json!({"customer": person.online(), "channel": "online", "purpose": "email", "granted": true});
        told.tell("consent.changed", "juniper-web", at, data);
    }
}

/// Four days that show what the rules do.
fn stories(day: Date, season: &mut Told, today: &mut Told, dice: &mut Dice) -> Cast {
    let cast = Cast {
        vip: "ana.ruiz@example.com".into(),
        both: "ben.okafor@example.com".into(),
        new: "chloe.lindqvist@example.com".into(),
        back: "dev.malhotra@example.com".into(),
        known_vip: "eve.marchetti@example.com".into(),
    };
    let soho = |till: &str| (Some("soho"), format!("till-soho-{till}"));
    let by = |email: &str| json!({"email": email});
    let told = |told: &mut Told, basket: Basket, at: DateTime, customer: Value, dice: &mut Dice| {
        let (store, till) = soho("1");
        let data = basket.sale("pos", store, &till, customer, dice);
        told.tell("sale.completed", &till, at, data);
    };

    let ana = json!({
        "customer": by(&cast.vip), "given_name": "Ana", "family_name": "Ruiz", "birthday": "04-12",
        "historical": true, "consents": [{"purpose": "email", "granted": true}],
    });
    let joining = day.saturating_sub(41.days()).at(9, 0, 0, 0);
    season.tell("customer.created", "import", joining, ana);

    let earlier = |days: i64| day.saturating_sub(days.days()).at(16, 20, 0, 0);
    told(
        season,
        goods::of(&["TEE-OAT-M"]),
        earlier(40),
        by(&cast.vip),
        dice,
    );
    told(
        season,
        goods::of(&["CANDLE-FIG", "MUG-STONE"]),
        earlier(18),
        by(&cast.vip),
        dice,
    );
    told(
        season,
        goods::of(&["THROW-WOOL"]),
        earlier(62),
        by(&cast.back),
        dice,
    );
    told(
        season,
        goods::of(&["COAT-CAMEL-M", "KNIT-MERINO-M"]),
        earlier(23),
        by(&cast.known_vip),
        dice,
    );
    let seen = json!({"customer": by(&cast.known_vip), "channel": "pos", "location": "soho", "method": "email"});
    today.tell(
        "customer.identified",
        "till-soho-1",
        day.at(12, 20, 0, 0),
        seen,
    );

    // 600.00 before tax, and back for socks in the afternoon.
    told(
        today,
        goods::of(&["COAT-CAMEL-M", "SCARF-CHARCOAL", "GLOVES-TAN"]),
        day.at(11, 5, 0, 0),
        by(&cast.vip),
        dice,
    );
    let (_, till) = soho("2");
    let seen =
        json!({"customer": by(&cast.vip), "channel": "pos", "location": "soho", "method": "email"});
    today.tell("customer.identified", &till, day.at(16, 40, 0, 0), seen);
    let open = goods::of(&["SOCKS-3"]).checkout("pos", Some("soho"), by(&cast.vip));
    today.tell("checkout.started", &till, day.at(16, 41, 0, 0), open);
    told(
        today,
        goods::of(&["SOCKS-3"]),
        day.at(16, 42, 0, 0),
        by(&cast.vip),
        dice,
    );

    let mut online = goods::of(&["SHIRT-LINEN-L", "BELT-BROWN"]).sale(
        "online",
        None,
        "web",
        by(&cast.both),
        dice,
    );
    online["order"] = json!({"system": "juniper-web", "id": "ben-1"});
    today.tell("sale.completed", "juniper-web", day.at(8, 12, 0, 0), online);
    told(
        today,
        goods::of(&["CHINO-NAVY-32"]),
        day.at(18, 30, 0, 0),
        json!({"email": cast.both, "phone": "(212) 555-0198"}),
        dice,
    );

    let profile = json!({
        "customer": {"email": cast.new, "phone": "(646) 555-0199"}, "given_name": "Chloe", "family_name": "Lindqvist",
        "birthday": "06-21", "language": "en", "home_location": "soho", "channel": "pos", "location": "soho",
        "consents": [{"purpose": "email", "granted": true}, {"purpose": "sms", "granted": false}],
    });
    today.tell(
        "customer.created",
        "till-soho-2",
        day.at(13, 0, 0, 0),
        profile,
    );
    let chloe = json!({"email": cast.new, "phone": "+1 646 555 0199"});
    let joined =
        json!({"customer": chloe, "channel": "pos", "location": "soho", "staff": "staff-7"});
    today.tell(
        "loyalty.enrolled",
        "till-soho-2",
        day.at(13, 0, 30, 0),
        joined,
    );
    told(
        today,
        goods::of(&["DRESS-SAGE-S"]),
        day.at(13, 4, 0, 0),
        json!({"email": cast.new, "phone": "646.555.0199"}),
        dice,
    );

    told(
        today,
        goods::of(&["VASE-TALL", "CANDLE-CEDAR"]),
        day.at(15, 10, 0, 0),
        by(&cast.back),
        dice,
    );
    cast
}

fn till(store: &str, dice: &mut Dice) -> String {
    format!("till-{store}-{}", 1 + dice.below(2))
}

/// A time between ten and eight, most often towards the evening.
fn opening_hours(dice: &mut Dice) -> Time {
    let minute = dice.below(600).max(dice.below(600));
    Time::constant(
        10 + (minute / 60) as i8,
        (minute % 60) as i8,
        dice.below(60) as i8,
        0,
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use jiff::civil::date;

    #[test]
    fn the_same_seed_gives_the_same_events_and_another_does_not() {
        let events = |seed| {
            let generated = Generated::new(seed, date(2025, 5, 17), SMALL);
            (generated.season, generated.day)
        };
        assert_eq!(events(7), events(7));
        assert_ne!(events(7), events(8));
    }

    #[test]
    fn every_sale_adds_up_and_has_a_name_of_its_own() {
        let generated = Generated::new(1, date(2025, 5, 17), SMALL);
        let mut names = std::collections::HashSet::new();
        let mut sales = 0;
        for event in generated.season.iter().chain(&generated.day) {
            assert!(
                names.insert((event["source"].clone(), event["id"].clone())),
                "{event}"
            );
            if event["type"] != "sale.completed" {
                continue;
            }
            sales += 1;
            let data = &event["data"];
            let sum = |list: &Value| -> i64 {
                list.as_array()
                    .into_iter()
                    .flatten()
                    .map(|item| item["amount"].as_i64().expect("an amount"))
                    .sum()
            };
            let number = |key: &str| data[key].as_i64().unwrap_or(0);
            let owed =
                sum(&data["lines"]) - sum(&data["discounts"]) + number("shipping") + number("tax");
            assert_eq!(owed, number("total"), "{event}");
            assert_eq!(sum(&data["tenders"]), number("total"), "{event}");
        }
        assert!(sales > 500, "{sales} sales are no season");
    }
}
