//! A day on which everything happens that can happen to a shop: every kind of the catalogue that
//! somebody tells, redemptions and merges among them.
//!
//! Most of it may arrive in any order. Some acts are checked when they arrive, against what is there
//! by then, and what they rest on comes before them: who redeems must have the points, and nobody says
//! what becomes of a redemption, or takes a merge back, before they were answered that it began.

use crate::Shop;
use crate::event;
use crate::generated::shuffled;
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};

/// What the shop's file needs for the day. Nobody's points are free again before it is over: that
/// nobody confirmed in time is told by the clock, which follows arrival.
pub const MERCHANT: &str = r#"
[redemption]
hold_minutes = 2880
approval_from = 1000
approval_hours = 48

[redemption.offline]
points = 500
sync_hours = 48

[referral]
url = "https://shop.example/join?code={code}"
"#;
/// What a friend is worth, for `plugins/starter-referral.toml`.
pub const REFERRAL: &str = r#"
pack = "starter-referral"

[config.joining]
friend = 100
referrer = 200

[config.first_purchase]
referrer = 500
"#;
/// For `stampcard.toml`. Events of several lanes arrive in no order, and here the order is what is tried.
pub const SERVER: &str = "lanes = 1\n";

const PEOPLE: [&str; 10] = [
    "rae", "mia", "mia-2", "tom", "tim", "ann", "anna", "gus", "lou", "zoe",
];

/// Events, and what of them must arrive before what.
pub struct Told {
    pub events: Vec<Value>,
    /// The ids of an event's source on which it rests, by its id. All of them are ids of `till-1`.
    rests_on: BTreeMap<&'static str, Vec<&'static str>>,
}

/// Who is there before the day begins: acts of staff need somebody whom the shop knows.
pub fn people() -> Vec<Value> {
    PEOPLE
        .iter()
        .map(|name| {
            let data = json!({"customer": {"email": mail(name)}});
            event::event("customer.created", name, "2025-02-14T12:30:00-05:00", data)
        })
        .collect()
}

fn mail(name: &str) -> String {
    format!("{name}@example.com")
}

/// The day, for a shop that knows its people: merges name customers by the shop's own ids, and what
/// becomes of a redemption names it by what the shop answered.
pub fn day(shop: &Shop) -> Told {
    let id = |name: &str| id_of(shop, name);
    let mut told = Told {
        events: Vec::new(),
        rests_on: BTreeMap::new(),
    };
    what_is_sold(&mut told);
    what_is_said(&mut told);
    what_staff_does(&mut told, &id);
    what_is_redeemed(&mut told, shop);
    who_brings_a_friend(&mut told, shop);
    told
}

fn id_of(shop: &Shop, name: &str) -> String {
    let customers = shop.exported("customers", &[]);
    let found = customers.iter().find(|customer| {
        customer
            .to_string()
            .contains(&format!("\"{}\"", mail(name)))
    });
    let found = found.unwrap_or_else(|| panic!("the shop knows {name}"));
    found["id"].as_str().expect("a customer has an id").into()
}

impl Told {
    /// At a time of the day, as `10:00`.
    fn tell(&mut self, time: &str, kind: &str, id: &str, data: Value) {
        let time = format!("2025-05-17T{time}:00-04:00");
        let data = match kind {
            "sale.completed" => event::with_goods(data),
            _ => data,
        };
        self.events.push(event::event(kind, id, &time, data));
    }

    fn rests_on(&mut self, id: &'static str, others: &[&'static str]) {
        self.rests_on.insert(id, others.into());
    }

    pub fn kinds(&self) -> BTreeSet<&str> {
        let kinds = self
            .events
            .iter()
            .filter_map(|event| event["type"].as_str());
        kinds.collect()
    }

    /// Every event `times` times, in an order drawn from a seed, but for what must be there first.
    pub fn arriving(&self, seed: u64, times: usize) -> Vec<Value> {
        let all = std::iter::repeat_n(&self.events, times).flatten().cloned();
        let drawn = shuffled(all.collect(), seed);
        let mut there: BTreeSet<String> = BTreeSet::new();
        let mut waiting: Vec<Value> = Vec::new();
        let mut arrived = Vec::with_capacity(drawn.len());
        for event in drawn {
            waiting.push(event);
            // Whoever came may be what somebody waits for, who may be what others wait for.
            while let Some(next) = waiting.iter().position(|it| self.may_come(it, &there)) {
                let event = waiting.remove(next);
                there.extend(name(&event).map(str::to_owned));
                arrived.push(event);
            }
        }
        assert!(waiting.is_empty(), "nobody waits for what never comes");
        arrived
    }

    fn may_come(&self, event: &Value, there: &BTreeSet<String>) -> bool {
        let needs = name(event).and_then(|id| self.rests_on.get(id));
        needs.is_none_or(|needs| needs.iter().all(|id| there.contains(*id)))
    }
}

/// The id of an event of the till that tells the day.
fn name(event: &Value) -> Option<&str> {
    event["id"].as_str().filter(|_| event["source"] == "till-1")
}

fn of(sale: &str) -> Value {
    json!({"source": "till-1", "id": sale})
}

fn by(name: &str) -> Value {
    json!({"email": mail(name)})
}

fn order(id: &str) -> Value {
    json!({"system": "web", "id": id})
}

fn what_is_sold(told: &mut Told) {
    let web = |name: &str, number: &str, total: i64, state: &str| json!({"customer": by(name), "channel": "online", "order": order(number), "total": total, "payment_state": state});
    let back = |sale: &str| json!({"sale": of(sale), "channel": "online", "currency": "USD"});
    let with = |mut data: Value, more: Value| {
        let more = more.as_object().expect("an object").clone();
        data.as_object_mut().expect("an object").extend(more);
        data
    };
    #[rustfmt::skip]
    let events = [
        ("09:00", "sale.completed", "k-web-1", web("gus", "k-1", 12_000, "pending")),
        ("09:05", "sale.completed", "k-web-2", web("gus", "k-2", 7_000, "pending")),
        ("09:10", "sale.completed", "k-web-3", web("rae", "k-3", 23_000, "paid")),
        ("09:20", "sale.completed", "k-pos-1", json!({"customer": by("rae"), "total": 5_100})),
        ("09:30", "sale.completed", "k-pos-2", json!({"customer": by("gus"), "total": 4_400})),
        ("09:40", "sale.completed", "k-guest", json!({"total": 8_800})),
        ("10:00", "payment.settled", "k-paid", json!({"order": order("k-1")})),
        ("10:05", "payment.failed", "k-failed", json!({"order": order("k-2")})),
        ("10:10", "order.edited", "k-edit", json!({"order": order("k-3"), "currency": "USD", "removed": [{"line": 1, "amount": 3_000}], "amount": 3_000, "added": [{"sku": "SCARF", "unit_price": 1_900}], "total": 1_900})),
        ("10:15", "exchange.completed", "k-exchange", with(back("k-pos-1"), json!({"returned": [{"line": 1, "amount": 2_000}], "amount": 2_000, "lines": [{"sku": "MUG", "unit_price": 2_600}], "total": 2_600}))),
        ("10:20", "sale.voided", "k-void", json!({"sale": of("k-pos-2")})),
        ("10:25", "return.completed", "k-return", with(back("k-exchange"), json!({"amount": 1_300}))),
        ("11:00", "order.fulfilled", "k-fulfilled", json!({"customer": by("rae"), "channel": "online", "order": order("k-3")})),
        ("15:00", "order.delivered", "k-delivered", json!({"customer": by("rae"), "channel": "online", "order": order("k-3")})),
        ("16:00", "pickup.collected", "k-pickup", json!({"customer": by("gus"), "channel": "pos", "location": "soho", "order": order("k-1")})),
        ("12:00", "checkout.started", "k-open", json!({"channel": "online", "currency": "USD", "customer": by("gus"), "lines": [{"sku": "BELT", "unit_price": 4_000}], "total": 4_000})),
        ("12:05", "checkout.updated", "k-more", json!({"channel": "online", "currency": "USD", "customer": by("gus"), "lines": [{"sku": "BELT", "quantity": 2, "unit_price": 4_000}], "total": 8_000})),
        ("12:50", "checkout.abandoned", "k-left", json!({"channel": "online", "customer": by("gus"), "total": 8_000})),
        ("17:00", "receipt.reissued", "k-receipt", json!({"customer": by("gus"), "channel": "pos", "location": "soho", "order": order("k-1")})),
    ];
    for (time, kind, id, data) in events {
        told.tell(time, kind, id, data);
    }
}

fn what_is_said(told: &mut Told) {
    let gus = by("gus");
    let desk = json!({"system": "desk", "id": "T-1"});
    #[rustfmt::skip]
    let events = [
        ("09:45", "customer.identified", "k-claim", json!({"customer": gus, "channel": "pos", "location": "soho", "sale": of("k-guest")})),
        ("08:30", "customer.created", "k-created", json!({"customer": {"email": mail("ivy"), "phone": "(646) 555-0123"}, "given_name": "Ivy", "birthday": "05-17"})),
        ("08:45", "customer.updated", "k-updated", json!({"customer": by("ivy"), "language": "es", "home_location": "hudson"})),
        ("08:50", "loyalty.enrolled", "k-enrolled", json!({"customer": by("ivy"), "channel": "pos", "location": "soho", "staff": "staff-7"})),
        ("08:55", "consent.changed", "k-consent", json!({"customer": by("ivy"), "purpose": "sms", "granted": true})),
        ("13:00", "ticket.opened", "k-asks", json!({"customer": gus, "channel": "online", "ticket": desk, "topic": "repair"})),
        ("14:00", "ticket.closed", "k-helped", json!({"customer": gus, "ticket": desk, "topic": "repair", "solved": true})),
        ("11:30", "page.viewed", "k-page", json!({"customer": gus, "channel": "online", "page": "/belts"})),
        ("18:00", "store_event.attended", "k-party", json!({"customer": gus, "location": "soho", "store_event": "spring-party"})),
        ("13:30", "visit.counted", "k-door", json!({"location": "soho", "count": 3})),
        ("07:35", "stock.updated", "k-stock", json!({"stock": [{"sku": "BELT", "location": "soho", "quantity": 3}, {"sku": "BELT", "channel": "online", "quantity": 0}]})),
        ("07:30", "catalog.updated", "k-goods", json!({"currency": "USD", "products": [{"product": "belt", "variant": "BELT", "name": "Belt", "price": 4_000}]})),
    ];
    for (time, kind, id, data) in events {
        told.tell(time, kind, id, data);
    }
    // Nobody claims what is not there.
    told.rests_on("k-claim", &["k-guest"]);
}

fn what_staff_does(told: &mut Told, id: &dyn Fn(&str) -> String) {
    let about = |keep: &str, other: &str| json!({"keep": id(keep), "other": id(other), "actor": "staff-7", "reason": "they say so"});
    let mut merged = about("mia", "mia-2");
    let mut wrong = about("tom", "tim");
    for merge in [&mut merged, &mut wrong] {
        merge["confirmed_on"] = "email".into();
    }
    let gus = by("gus");
    #[rustfmt::skip]
    let events = [
        ("08:00", "sale.completed", "k-mia", json!({"customer": by("mia"), "total": 31_000})),
        ("08:10", "sale.completed", "k-mia-2", json!({"customer": by("mia-2"), "total": 26_000})),
        ("08:20", "sale.completed", "k-tom", json!({"customer": by("tom"), "total": 9_000})),
        ("08:25", "sale.completed", "k-tim", json!({"customer": by("tim"), "total": 52_000})),
        ("08:30", "sale.completed", "k-zoe", json!({"customer": by("zoe"), "total": 2_500})),
        ("23:10", "customer.deleted", "k-forgotten", json!({"customer": by("zoe"), "actor": "staff-7", "reason": "asked for it"})),
        ("13:10", "customer.merged", "k-merged", merged),
        ("13:20", "customer.merged", "k-wrong", wrong),
        ("14:10", "sale.completed", "k-mia-later", json!({"customer": by("mia-2"), "total": 4_000})),
        ("14:20", "sale.completed", "k-tim-later", json!({"customer": by("tim"), "total": 3_000})),
        ("15:30", "customer.unmerged", "k-two", about("tom", "tim")),
        ("15:40", "merge.declined", "k-declined", about("ann", "anna")),
        ("11:10", "tag.added", "k-tag", json!({"customer": gus, "tag": "spring"})),
        ("11:40", "tag.removed", "k-untag", json!({"customer": gus, "tag": "spring"})),
        ("11:50", "tags.assigned", "k-tags", json!({"tag": "spring", "action": "add", "customers": 1, "actor": "staff-7", "reason": "spring list"})),
        ("12:10", "note.added", "k-note", json!({"customer": gus, "note": "Prefers linen.", "actor": "staff-7"})),
        ("12:20", "note.edited", "k-note-2", json!({"customer": gus, "edits": of("k-note"), "note": "Prefers wool.", "actor": "staff-7"})),
        ("12:30", "points.adjusted", "k-goodwill", json!({"customer": gus, "points": 50, "actor": "staff-7", "reason": "goodwill"})),
        ("12:35", "points.forfeited", "k-forfeit", json!({"customer": gus, "points": 20, "actor": "staff-7", "reason": "receipts of others"})),
        ("12:40", "tier.overridden", "k-gold", json!({"customer": gus, "tier": "gold", "until": "2025-05-17T20:00:00-04:00", "actor": "staff-7", "reason": "press"})),
        ("07:00", "points.imported", "k-brought", json!({"customer": by("rae"), "lots": [{"points": 3_000, "expires_at": "2025-05-17T22:00:00-04:00"}, {"points": 2_000}], "reason": "from the old programme", "actor": "staff-7"})),
    ];
    for (time, kind, id, data) in events {
        told.tell(time, kind, id, data);
    }
    told.rests_on("k-two", &["k-wrong"]);
    // Nothing is taken about somebody who was forgotten.
    told.rests_on("k-forgotten", &["k-zoe"]);
}

/// What rae gives points for, out of what she brought.
fn what_is_redeemed(told: &mut Told, shop: &Shop) {
    let asks = [
        ("10:30", "k-red-1", 300),
        ("10:40", "k-red-2", 200),
        ("10:50", "k-red-3", 1_500),
        ("10:55", "k-red-4", 1_200),
        ("17:30", "k-red-5", 100),
    ];
    let before = told.events.len();
    for (time, id, points) in asks {
        let data = json!({"customer": by("rae"), "points": points, "channel": "online", "actor": "staff-7"});
        told.tell(time, "redemption.reserved", id, data);
        told.rests_on(id, &["k-brought"]);
    }
    let till =
        json!({"customer": by("rae"), "points": 400, "channel": "online", "actor": "staff-7"});
    told.tell("13:40", "redemption.allowed", "k-allowed", till);
    told.rests_on("k-allowed", &["k-brought"]);
    let answered = answered(shop, told, before);
    let red = |id: &str| answered[id]["id"].clone();
    let allowance = answered["k-allowed"]["allowance"].clone();
    #[rustfmt::skip]
    let events = [
        // Given with a sale, of which a part comes back.
        ("11:15", "sale.completed", "k-pos-3", json!({"customer": by("rae"), "total": 6_000})),
        ("11:16", "redemption.confirmed", "k-given", json!({"redemption": red("k-red-1"), "channel": "online", "sale": of("k-pos-3")})),
        ("19:00", "return.completed", "k-back", json!({"sale": of("k-pos-3"), "channel": "online", "currency": "USD", "amount": 3_000})),
        ("11:20", "redemption.cancelled", "k-not", json!({"redemption": red("k-red-2"), "reason": "changed their mind"})),
        ("12:15", "redemption.approved", "k-agreed", json!({"redemption": red("k-red-3"), "actor": "staff-9"})),
        ("12:25", "redemption.confirmed", "k-given-2", json!({"redemption": red("k-red-3"), "channel": "online"})),
        ("14:30", "redemption.offline", "k-offline", json!({"allowance": allowance, "points": 250, "channel": "online"})),
        ("12:35", "redemption.denied", "k-denied", json!({"redemption": red("k-red-4"), "actor": "staff-9", "reason": "ask for a receipt first"})),
    ];
    for (time, kind, id, data) in events {
        told.tell(time, kind, id, data);
    }
    for (id, others) in [
        ("k-given", &["k-red-1"][..]),
        ("k-not", &["k-red-2"]),
        ("k-agreed", &["k-red-3"]),
        ("k-given-2", &["k-agreed"]),
        ("k-denied", &["k-red-4"]),
        ("k-offline", &["k-allowed"]),
    ] {
        told.rests_on(id, others);
    }
}

/// Ann brings Lou, who buys twice, brings the first of it back, and gets credit for the other.
fn who_brings_a_friend(told: &mut Told, shop: &Shop) {
    let joins = json!({"customer": by("ann"), "channel": "online"});
    told.tell("08:05", "loyalty.enrolled", "k-joins", joins);
    let enrolled = told.events.last().expect("she joins").clone();
    let copy = shop.copied();
    copy.ingest(&[enrolled]);
    let rows = copy.exported("events", &[]);
    let joined = rows.iter().find(|row| row["event"]["id"] == "k-joins");
    let code = &joined.expect("she joined")["outcome"]["referral"]["code"];
    #[rustfmt::skip]
    let events = [
        ("09:05", "referral.signup", "k-friend", json!({"customer": by("lou"), "code": code, "via": "instagram"})),
        ("10:05", "sale.completed", "k-lou-1", json!({"customer": by("lou"), "total": 7_000})),
        ("11:05", "sale.completed", "k-lou-2", json!({"customer": by("lou"), "total": 3_000})),
        ("15:05", "return.completed", "k-lou-back", json!({"sale": of("k-lou-1"), "channel": "online", "currency": "USD", "amount": 7_000})),
        ("15:06", "credit.adjusted", "k-credit", json!({"customer": by("ann"), "amount": 1_200, "actor": "staff-7", "reason": "a loose button"})),
        ("16:05", "referral.revoked", "k-revoked", json!({"customer": by("ann"), "actor": "staff-7", "reason": "found on a page of vouchers"})),
    ];
    for (time, kind, id, data) in events {
        told.tell(time, kind, id, data);
    }
    // A code is looked up when it arrives.
    told.rests_on("k-friend", &["k-joins"]);
    told.rests_on("k-revoked", &["k-friend"]);
}

/// Redemptions, by the event that asks for them, as this shop makes them.
fn answered(shop: &Shop, told: &Told, from: usize) -> BTreeMap<String, Value> {
    let copy = shop.copied();
    let brought = told.events.iter().find(|event| event["id"] == "k-brought");
    let mut events = vec![brought.expect("she brought points").clone()];
    events.extend_from_slice(&told.events[from..]);
    copy.ingest(&events);
    let rows = copy.exported("events", &[]);
    rows.iter()
        .filter_map(|row| {
            let made = row["outcome"]["redemptions"].get(0)?;
            Some((row["event"]["id"].as_str()?.to_owned(), made.clone()))
        })
        .collect()
}
