//! Completing a sparse input, so that a case says what it is about and nothing else.

use serde_json::{Map, Value, json};

use super::{instants, matching};
use crate::types::{Birthday, Input, Instant, LocalTime, Money, Sale, Shop, Tally, Totals};

/// The `now` of a case that names none: noon in New York on Monday, 2 March 2026.
const NOON: &str = "2026-03-02T17:00:00Z";

/// Completes an input that has the contract's shape and leaves out whatever it likes:
///
/// - an event without a body is a sale, unless its `kind` says something else; the kind follows
///   from the body; what is bought or brought back was bought at a till;
/// - `event.local` is what the shop's time zone makes of `now`;
/// - a sale's lines are numbered, one piece each, and its `amount`, `net` and `total` follow from
///   the rest; a total without lines gets one line; sums that do not add up are an error;
/// - without `totals` a sale is the customer's first;
/// - segments and consents may be names (`["vip"]`), and so may the tier (`"gold"`); a birthday
///   needs only month and day;
/// - `state` is JSON, as `remember` writes it.
pub fn complete(input: &Value, shop: &Shop) -> Result<Input, String> {
    complete_after(input, shop, None)
}

/// The same, at the time of the step before if the input names none.
pub(super) fn complete_after(
    input: &Value,
    shop: &Shop,
    before: Option<Instant>,
) -> Result<Input, String> {
    let before = match before {
        Some(instant) => instant,
        None => instants::read(NOON, 0)?,
    };
    let now = match (&input["now"], &input["event"]["occurred_at"]) {
        (Value::Null, Value::Null) => before,
        (Value::Null, given) | (given, _) => match given {
            Value::String(text) => instants::read(text, before)?,
            number => number.as_i64().ok_or("now is no instant")?,
        },
    };
    let mut input = instants::resolved(input, now)?;
    let fields = input.as_object_mut().ok_or("an input is an object")?;
    fields.insert("now".into(), json!(now));

    let event = section(fields, "event")?;
    complete_event(event, now, shop)?;
    let bought = bought(&event["body"]);
    let channel = event.get("channel").and_then(Value::as_str);
    let channel = channel.map(str::to_lowercase);

    let customer = section(fields, "customer")?;
    complete_customer(customer, now, shop)?;
    let balance = customer.get("balance").cloned().unwrap_or(json!(0));

    section(fields, "so_far")?
        .entry("balance_after")
        .or_insert(balance);
    if let (None, Some(sale)) = (fields.get("totals"), bought) {
        let totals = first_sale(&sale, now, channel.as_deref());
        fields.insert("totals".into(), value_of(&totals)?);
    }
    if let Some(state) = fields.get("state").filter(|state| !state.is_null()) {
        let bytes = state.to_string().into_bytes();
        fields.insert("state".into(), json!(bytes));
    }
    read("input", &input)
}

// --------------------------------------------------------------------- event

fn complete_event(event: &mut Map<String, Value>, now: Instant, shop: &Shop) -> Result<(), String> {
    let kind = event.get("kind").and_then(Value::as_str);
    if !event.contains_key("body") {
        event.insert("body".into(), body_of(kind.unwrap_or("sale.completed")));
    }
    let body = &mut event["body"];
    let (variant, content) = body
        .as_object_mut()
        .and_then(|body| body.iter_mut().next())
        .ok_or("event.body is one of the contract's, such as {\"Sale\": {}}")?;
    let traded = match variant.as_str() {
        "Sale" | "Checkout" => {
            complete_sale(content, shop)?;
            true
        }
        "Return" => {
            complete_return(content, shop)?;
            true
        }
        "Exchange" => {
            complete_return(part(content, "returned")?, shop)?;
            complete_sale(part(content, "bought")?, shop)?;
            true
        }
        _ => false,
    };
    let kind = kind_of(variant, content);

    event.insert("occurred_at".into(), json!(now));
    let local = value_of(&local_time(now, &shop.time_zone)?)?;
    let local = match event.get("local") {
        Some(given) => matching::over(&local, given),
        None => local,
    };
    event.insert("local".into(), local);
    if traded {
        event.entry("channel").or_insert(json!("Pos"));
    }
    event.entry("source").or_insert(json!("cases"));
    event.entry("id").or_insert(json!("event-1"));
    match kind {
        Some(kind) => _ = event.entry("kind").or_insert(json!(kind)),
        None if event.contains_key("kind") => {}
        None => return Err("event.kind is needed where the body is Other".into()),
    }
    Ok(())
}

/// The body that events of a kind have.
fn body_of(kind: &str) -> Value {
    match kind {
        "sale.completed" => json!({"Sale": {}}),
        "return.completed" => json!({"Return": {}}),
        "exchange.completed" => json!({"Exchange": {}}),
        "checkout.started" | "checkout.updated" => json!({"Checkout": {}}),
        "consent.changed" => json!({"Consent": {}}),
        "tag.added" => json!({"Tag": {"added": true}}),
        "tag.removed" => json!({"Tag": {"added": false}}),
        "visit.counted" => json!({"Visit": {"count": 1}}),
        "review.due" => json!({"Review": {}}),
        "customer.identified" | "customer.created" | "customer.updated" | "loyalty.enrolled" => {
            json!({"Profile": {}})
        }
        _ => json!({"Other": "{}"}),
    }
}

/// The usual kind of a body. None if it has none.
fn kind_of(variant: &str, content: &Value) -> Option<&'static str> {
    Some(match variant {
        "Sale" => "sale.completed",
        "Return" => "return.completed",
        "Exchange" => "exchange.completed",
        "Checkout" => "checkout.started",
        "Profile" => "customer.updated",
        "Consent" => "consent.changed",
        "Tag" if content["added"] == true => "tag.added",
        "Tag" => "tag.removed",
        "Visit" => "visit.counted",
        "Review" => "review.due",
        _ => return None,
    })
}

fn local_time(now: Instant, time_zone: &str) -> Result<LocalTime, String> {
    let instant = jiff::Timestamp::from_millisecond(now).map_err(|error| error.to_string())?;
    let local = instant
        .in_tz(time_zone)
        .map_err(|error| error.to_string())?;
    let zone = local.time_zone();
    let began = |date: Result<jiff::civil::Date, jiff::Error>| {
        let start = date
            .and_then(|date| date.to_zoned(zone.clone()))
            .map_err(|error| error.to_string())?;
        Ok::<_, String>(start.timestamp().as_millisecond())
    };
    let today = local.date();
    Ok(LocalTime {
        year: today.year().into(),
        month: today.month() as u8,
        day: today.day() as u8,
        hour: local.hour() as u8,
        minute: local.minute() as u8,
        weekday: today.weekday().to_monday_one_offset() as u8,
        utc_offset: local.offset().seconds(),
        day_began: began(Ok(today))?,
        month_began: began(Ok(today.first_of_month()))?,
        year_began: began(Ok(today.first_of_year()))?,
        next_day: began(today.tomorrow())?,
        next_month: began(today.last_of_month().tomorrow())?,
        next_year: began(today.last_of_year().tomorrow())?,
    })
}

// ---------------------------------------------------------------------- sale

fn complete_sale(sale: &mut Value, shop: &Shop) -> Result<(), String> {
    let fields = sale.as_object_mut().ok_or("a sale is an object")?;
    fields
        .entry("currency")
        .or_insert_with(|| json!(shop.currency));
    let total_given = fields.contains_key("total");
    if total_given && !fields.contains_key("lines") {
        let beside = Sums::of(fields)?.total_of(0)?;
        let total = number(fields, "total", 0)?;
        fields.insert("lines".into(), json!([{ "amount": total - beside }]));
    }
    let lines = fields.entry("lines").or_insert(json!([]));
    let lines = lines.as_array_mut().ok_or("lines is a list")?;
    for (index, line) in lines.iter_mut().enumerate() {
        let line = line.as_object_mut().ok_or("a line is an object")?;
        complete_line(line, index + 1)?;
    }

    let sums = Sums::of(fields)?;
    let lines = fields["lines"].as_array_mut().ok_or("lines is a list")?;
    let amounts: Vec<Money> = lines
        .iter()
        .map(|line| line["amount"].as_i64().unwrap_or(0))
        .collect();
    let shares = apportioned(sums.discounts, &amounts);
    for ((line, amount), share) in lines.iter_mut().zip(&amounts).zip(shares) {
        let line = line.as_object_mut().ok_or("a line is an object")?;
        line.entry("net").or_insert(json!(amount - share));
    }

    let total = sums.total_of(amounts.iter().sum())?;
    if total_given && number(fields, "total", 0)? != total {
        return Err(format!(
            "the sale's total is {}, and its parts add up to {total}",
            fields["total"]
        ));
    }
    fields.insert("total".into(), json!(total));
    Ok(())
}

fn complete_line(line: &mut Map<String, Value>, position: usize) -> Result<(), String> {
    line.entry("number").or_insert(json!(position));
    let quantity = number(line, "quantity", 1_000)?;
    let discount = number(line, "discount", 0)?;
    if line.contains_key("amount") {
        let before = number(line, "amount", 0)? + discount;
        let price = before.checked_mul(1_000).ok_or("an amount is too large")?;
        let price = price.checked_div(quantity).unwrap_or(0);
        line.entry("unit_price").or_insert(json!(price));
    } else {
        let price = number(line, "unit_price", 0)?;
        let before = price.checked_mul(quantity).ok_or("a price is too large")? / 1_000;
        line.insert("amount".into(), json!(before - discount));
    }
    line.insert("quantity".into(), json!(quantity));
    Ok(())
}

/// The parts of a sale's total beside its lines.
struct Sums {
    discounts: Money,
    /// Shipping, tip, rounding, and the tax where the lines do not contain it.
    added: Money,
}

impl Sums {
    fn of(sale: &Map<String, Value>) -> Result<Self, String> {
        let mut discounts = 0;
        if let Some(list) = sale.get("discounts") {
            for discount in list.as_array().ok_or("discounts is a list")? {
                discounts += discount["amount"].as_i64().unwrap_or(0);
            }
        }
        let mut added =
            number(sale, "shipping", 0)? + number(sale, "tip", 0)? + number(sale, "rounding", 0)?;
        if sale.get("tax_included") != Some(&Value::Bool(true)) {
            added += number(sale, "tax", 0)?;
        }
        Ok(Self { discounts, added })
    }

    fn total_of(&self, lines: Money) -> Result<Money, String> {
        lines
            .checked_sub(self.discounts)
            .and_then(|goods| goods.checked_add(self.added))
            .ok_or_else(|| "the sale is too large".into())
    }
}

/// Splits an amount over parts in proportion to them, by largest remainder, so that the shares
/// sum to the amount. The earlier part wins a tie.
fn apportioned(amount: Money, parts: &[Money]) -> Vec<Money> {
    let whole: i128 = parts.iter().map(|part| i128::from(*part)).sum();
    if whole == 0 {
        return vec![0; parts.len()];
    }
    let exact = |part: &Money| i128::from(amount) * i128::from(*part);
    let mut shares: Vec<i128> = parts
        .iter()
        .map(|part| exact(part).div_euclid(whole))
        .collect();
    let rest = i128::from(amount) - shares.iter().sum::<i128>();
    let mut order: Vec<usize> = (0..parts.len()).collect();
    order.sort_by_key(|part| std::cmp::Reverse(exact(&parts[*part]).rem_euclid(whole)));
    for part in order.into_iter().take(rest as usize) {
        shares[part] += 1;
    }
    shares.into_iter().map(|share| share as Money).collect()
}

fn complete_return(returned: &mut Value, shop: &Shop) -> Result<(), String> {
    let fields = returned.as_object_mut().ok_or("a return is an object")?;
    if let Some(original) = fields.get_mut("original").filter(|it| !it.is_null()) {
        complete_sale(part(original, "sale")?, shop)?;
    }
    if !fields.contains_key("amount") {
        let lines = fields.get("lines").and_then(Value::as_array);
        let amounts = lines.into_iter().flatten();
        let amount: Money = amounts
            .map(|line| line["amount"].as_i64().unwrap_or(0))
            .sum();
        fields.insert("amount".into(), json!(amount));
    }
    Ok(())
}

// ------------------------------------------------------------------ customer

fn complete_customer(
    customer: &mut Map<String, Value>,
    now: Instant,
    shop: &Shop,
) -> Result<(), String> {
    customer.entry("id").or_insert(json!("customer-1"));
    let created_at = customer.entry("created_at").or_insert(json!(now)).clone();
    if let Some(Value::String(tier)) = customer.get("tier") {
        let standing = json!({"tier": tier, "since": now});
        customer.insert("tier".into(), standing);
    }
    named(
        customer,
        "segments",
        |name| json!({"segment": name, "since": now}),
    );
    named(
        customer,
        "consents",
        |name| json!({"purpose": name, "granted": true, "at": now}),
    );
    if let Some(birthday) = customer.get_mut("birthday").filter(|it| !it.is_null()) {
        let given: Birthday = read("customer.birthday", birthday)?;
        let (today, next) = birthday_after(&given, now, &shop.time_zone)?;
        let derived = json!({"next": next, "today": today, "known_since": created_at});
        *birthday = matching::over(&derived, birthday);
    }
    Ok(())
}

/// Replaces names in a list by the records that they stand for.
fn named(fields: &mut Map<String, Value>, list: &str, record: impl Fn(&str) -> Value) {
    let Some(Value::Array(items)) = fields.get_mut(list) else {
        return;
    };
    for item in items {
        if let Value::String(name) = item {
            *item = record(name);
        }
    }
}

/// Whether today is the birthday, and when the next one begins.
fn birthday_after(
    birthday: &Birthday,
    now: Instant,
    zone: &str,
) -> Result<(bool, Instant), String> {
    let problem = |error: jiff::Error| format!("customer.birthday: {error}");
    let instant = jiff::Timestamp::from_millisecond(now).map_err(problem)?;
    let today = instant.in_tz(zone).map_err(problem)?.date();
    let (month, day) = (birthday.month as i8, birthday.day as i8);
    let in_year = |year: i16| match jiff::civil::Date::new(year, month, day) {
        Err(_) if (month, day) == (2, 29) => jiff::civil::Date::new(year, 2, 28),
        date => date,
    };
    let this_year = in_year(today.year()).map_err(problem)?;
    let next = match this_year > today {
        true => this_year,
        false => in_year(today.year() + 1).map_err(problem)?,
    };
    let next = next.in_tz(zone).map_err(problem)?;
    Ok((this_year == today, next.timestamp().as_millisecond()))
}

// -------------------------------------------------------------------- totals

fn bought(body: &Value) -> Option<Sale> {
    let sale = body
        .get("Sale")
        .or_else(|| body.get("Exchange")?.get("bought"))?;
    serde_json::from_value(sale.clone()).ok()
}

/// The totals of a customer who never bought before.
fn first_sale(sale: &Sale, now: Instant, channel: Option<&str>) -> Totals {
    let tally = Tally {
        orders: 1,
        spend: sale.total,
        first_at: Some(now),
        last_at: Some(now),
        ..Tally::default()
    };
    let by = |name| match channel == Some(name) {
        true => tally,
        false => Tally::default(),
    };
    Totals {
        lifetime: tally,
        pos: by("pos"),
        online: by("online"),
        phone: by("phone"),
        other: by("other"),
        days7: tally,
        days30: tally,
        days90: tally,
        days365: tally,
        this_month: tally,
        this_year: tally,
        last_year: Tally::default(),
        largest_sale: sale.total,
        previous_sale_at: None,
    }
}

// ---------------------------------------------------------------------- JSON

fn section<'a>(
    fields: &'a mut Map<String, Value>,
    name: &str,
) -> Result<&'a mut Map<String, Value>, String> {
    let section = fields.entry(name).or_insert(json!({}));
    section
        .as_object_mut()
        .ok_or_else(|| format!("{name} is an object"))
}

fn part<'a>(value: &'a mut Value, name: &str) -> Result<&'a mut Value, String> {
    let fields = value
        .as_object_mut()
        .ok_or_else(|| format!("{name} belongs into an object"))?;
    Ok(fields.entry(name).or_insert(json!({})))
}

fn number(fields: &Map<String, Value>, name: &str, default: i64) -> Result<i64, String> {
    match fields.get(name) {
        None => Ok(default),
        Some(value) => value
            .as_i64()
            .ok_or_else(|| format!("{name} is a whole number, not {value}")),
    }
}

fn read<T: serde::de::DeserializeOwned>(name: &str, value: &Value) -> Result<T, String> {
    serde_json::from_value(value.clone()).map_err(|error| format!("{name}: {error}"))
}

fn value_of<T: serde::Serialize>(value: &T) -> Result<Value, String> {
    serde_json::to_value(value).map_err(|error| error.to_string())
}
