//! Events as they are read back. The journal holds nothing that is personal, and neither does this.

use serde::Serialize;
use serde_json::{Map, Value, json};
use stampcard_pipeline::calendar;
use stampcard_pipeline::credit;
use stampcard_pipeline::currency::Currency;
use stampcard_pipeline::event::{
    Back, Body, Channel, Consent, Edit, Event, EventName, Exchange, Import, ProfileChange,
    RedemptionAct, RedemptionName, RedemptionStep, Refund, Return, Sale, SaleName,
};
use stampcard_pipeline::outcome::Time;
use stampcard_pipeline::redemption::shown;
use std::collections::BTreeMap;
use utoipa::ToSchema;

/// What names an event for ever.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct Named {
    #[schema(example = "till-1")]
    pub source: String,
    #[schema(example = "ord-1001")]
    pub id: String,
}

impl From<EventName> for Named {
    fn from(name: EventName) -> Named {
        Named {
            source: name.source,
            id: name.id,
        }
    }
}

/// An event as the journal holds it: without anything that is personal.
#[derive(Debug, Serialize, ToSchema)]
pub struct EventView {
    pub source: String,
    pub id: String,
    /// Its kind in the catalogue.
    #[serde(rename = "type")]
    #[schema(example = "sale.completed")]
    pub kind: String,
    #[schema(value_type = String, format = DateTime)]
    pub time: Time,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub channel: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub location: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub device: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub staff: Option<String>,
    /// From an import: it moves everything but sends nothing.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub historical: bool,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub attributes: BTreeMap<String, String>,
    /// What its kind says beside that; /v1/catalogue has the fields.
    #[schema(value_type = Object)]
    pub data: Value,
}

impl EventView {
    /// `currency` is the shop's: the journal keeps every amount in it.
    pub fn of(event: &Event, currency: &str) -> EventView {
        EventView {
            source: event.source.clone(),
            id: event.id.clone(),
            kind: event.kind.clone(),
            time: Time(event.at),
            channel: event.channel.map(Channel::name),
            location: event.location.clone(),
            device: event.device.clone(),
            staff: event.staff.clone(),
            historical: event.historical,
            attributes: event.attributes.clone(),
            data: data(&event.body, currency),
        }
    }
}

fn data(body: &Body, currency: &str) -> Value {
    match body {
        Body::Sale(sale) | Body::Checkout(sale) => of_sale(sale, currency),
        Body::Profile(change) => of_profile(change),
        Body::Consent(consent) => {
            json!({"purpose": consent.purpose, "granted": consent.granted, "at": calendar::text(consent.at)})
        }
        Body::Tag(change) => match change.until {
            Some(until) => json!({"tag": change.tag, "until": calendar::text(until)}),
            None => json!({"tag": change.tag}),
        },
        Body::Adjustment(adjustment) => json!({
            "points": adjustment.points,
            "reason": adjustment.reason,
            "expires_at": adjustment.expires_at.map(calendar::text),
        }),
        Body::CreditAdjustment(adjustment) => json!({
            "amount": adjustment.amount,
            "currency": currency,
            "reason": adjustment.reason,
            "expires_at": adjustment.expires_at.map(calendar::text),
        }),
        Body::Forfeit(forfeit) => forfeit.told(),
        Body::Placement(placement) => json!({
            "tier": placement.tier,
            "until": placement.until.map(calendar::text),
            "reason": placement.reason,
        }),
        Body::Import(import) => of_import(import),
        Body::Note(note) => {
            json!({"edits": note.edits, "internal": note.internal, "withdrawn": note.withdrawn})
        }
        Body::Return(it) => of_return(it, currency),
        Body::Exchange(it) | Body::Edit(it) => of_exchange(body, it, currency),
        Body::Payment(it) => of(&it.of),
        Body::Redemption(it) => of_redemption(it),
        Body::Merge(merge) => merge.told(),
        Body::Unmerge(unmerge) => unmerge.told(),
        Body::Declined(declined) => declined.told(),
        Body::Referral(referral) => referral.told(),
        Body::CodeRevoked(reason) => json!({ "reason": reason }),
        Body::Erasure(erasure) => erasure.told(),
        Body::Visit(visit) => json!({"count": visit.count}),
        Body::Review => json!({}),
        Body::RulesChanged(change) => {
            json!({"rule_book": change.rule_book, "asks": change.asks, "again_from": change.again_from.as_ref().map(|step| json!({
                "time": calendar::text(step.at), "source": step.source, "id": step.id,
            }))})
        }
        Body::Other(text) => serde_json::from_str(text).unwrap_or_else(|_| json!({})),
    }
}

/// What was said of a redemption. Its code is a bearer's, and is not repeated.
fn of_redemption(step: &RedemptionStep) -> Value {
    let mut data = match &step.act {
        RedemptionAct::Reserve(what) if what.currency == Currency::StoreCredit => json!({
            "currency": what.currency, "amount": what.points, "until": calendar::text(what.until),
        }),
        RedemptionAct::Reserve(what) => json!({
            "points": what.points, "reward": what.reward, "worth": what.worth, "until": calendar::text(what.until),
            "needs_approval": what.needs_approval,
            "offline_until": what.offline_until.map(calendar::text),
        }),
        RedemptionAct::Offline(what) => {
            let mut data = what.sale.as_ref().map_or_else(|| json!({}), of);
            data["points"] = what.points.into();
            data["worth"] = json!(what.worth);
            if let Some(RedemptionName::Id(allowance)) = &what.allowance {
                data["allowance"] = allowance.as_str().into();
            }
            data
        }
        RedemptionAct::Confirm(Some(sale)) => of(sale),
        RedemptionAct::Confirm(None) => json!({}),
        RedemptionAct::Cancel(reason) | RedemptionAct::Deny(reason) => json!({ "reason": reason }),
        RedemptionAct::Approve(until) => json!({"until": calendar::text(*until)}),
    };
    if let RedemptionName::Id(id) = &step.of {
        data["redemption"] = id.as_str().into();
    }
    data
}

/// A sale in the words in which it was sent.
fn of_sale(sale: &Sale, currency: &str) -> Value {
    let mut data = serde_json::to_value(sale).expect("a sale is plain data");
    data["currency"] = currency.into();
    let lines = data.get_mut("lines").and_then(Value::as_array_mut);
    for (shown, line) in lines.into_iter().flatten().zip(&sale.lines) {
        shown["quantity"] = quantity(line.quantity, line.measured);
        if let Some(shown) = shown.as_object_mut() {
            shown.remove("measured");
        }
    }
    // The code of a tender is a bearer's, as that of a redemption is.
    let tenders = data.get_mut("tenders").and_then(Value::as_array_mut);
    for tender in tenders.into_iter().flatten() {
        *tender = json!({"kind": tender["kind"], "amount": tender["amount"]});
    }
    if !sale.fields.is_empty() {
        data["fields"] = own_fields(&sale.fields);
    }
    if let Some(data) = data.as_object_mut()
        && let Some(pending) = data.remove("payment_pending")
    {
        data.insert(
            "payment_state".into(),
            if pending == true {
                "pending".into()
            } else {
                "paid".into()
            },
        );
    }
    data
}

/// What was said to have come back. Whether a line is weighed is known of its sale only, so pieces are
/// told as thousandths are where they are not whole.
fn of_return(returned: &Return, currency: &str) -> Value {
    let mut data = of(&returned.of);
    if let Back::Goods(refund) = &returned.back {
        data["currency"] = currency.into();
        data["amount"] = refund.amount.into();
        data["shipping"] = refund.shipping.into();
        data["lines"] = lines_back(refund);
    }
    if let Some(to) = &returned.to_credit {
        data["refunds"] = json!([{"to": credit::TENDER, "amount": to.amount}]);
    }
    data
}

fn lines_back(refund: &Refund) -> Value {
    let lines = refund.lines.iter().map(|line| {
        json!({
            "line": line.line, "amount": line.amount,
            "quantity": quantity(line.quantity, line.quantity % 1_000 != 0),
        })
    });
    lines.collect()
}

/// What came back and what there is instead, in the words in which it was sent.
fn of_exchange(body: &Body, exchange: &Exchange, currency: &str) -> Value {
    let mut data = of_sale(&exchange.bought, currency);
    let (back, shipping) = (lines_back(&exchange.back), exchange.back.shipping);
    data["amount"] = exchange.back.amount.into();
    if let Some(data) = data.as_object_mut() {
        let new_order = data.remove("order");
        if let Body::Edit(_) = body {
            let added = data.remove("lines").unwrap_or_default();
            data.extend([("removed".into(), back), ("added".into(), added)]);
            data.insert("shipping_removed".into(), shipping.into());
        } else {
            data.insert("returned".into(), back);
        }
        data.extend(new_order.map(|order| ("new_order".into(), order)));
        let sale = of(&exchange.of);
        data.extend(sale.as_object().cloned().unwrap_or_default());
    }
    data
}

fn of_import(import: &Import) -> Value {
    let lots = import
        .lots
        .iter()
        .map(|lot| json!({"points": lot.points, "expires_at": lot.expires_at.map(calendar::text)}));
    let tier = import.tier.as_ref().map(|tier| {
        json!({
            "key": tier.tier, "since": calendar::text(tier.since),
            "keep_until": tier.keep_until.map(calendar::text),
        })
    });
    json!({"lots": lots.collect::<Vec<_>>(), "tier": tier, "reason": import.reason})
}

/// The sale that an event speaks of.
fn of(sale: &SaleName) -> Value {
    match sale {
        SaleName::Sale(sale) => json!({"sale": sale}),
        SaleName::Order(order) => json!({"order": order}),
    }
}

/// Thousandths as they are sent: `3`, or `"0.340"` for weighed goods.
fn quantity(thousandths: i64, measured: bool) -> Value {
    if measured {
        format!("{}.{:03}", thousandths / 1_000, thousandths % 1_000).into()
    } else {
        (thousandths / 1_000).into()
    }
}

/// Which fields of a profile were said, and what is not personal of them.
fn of_profile(change: &ProfileChange) -> Value {
    let mut data = Map::new();
    let mut put = |name: &str, value: Value| data.insert(name.to_owned(), value);
    put("changed", json!(change.changed));
    let edits = [
        ("language", text_of(&change.language)),
        ("home_location", text_of(&change.home_location)),
    ];
    for (name, value) in edits
        .into_iter()
        .filter_map(|(name, value)| Some((name, value?)))
    {
        put(name, value);
    }
    match &change.birthday {
        Some(Edit::Set(day)) => put(
            "birthday",
            format!("{:02}-{:02}", day.month, day.day).into(),
        ),
        Some(Edit::Clear) => put("birthday", Value::Null),
        None => None,
    };
    if !change.fields.is_empty() {
        put("fields", own_fields(&change.fields));
    }
    if let Some(signup) = &change.referral {
        put("code", shown(&signup.code).into());
        put("via", json!(signup.via));
        put("referrer", json!(signup.referrer));
    }
    if !change.consents.is_empty() {
        let of = |consent: &Consent| json!({"purpose": consent.purpose, "granted": consent.granted, "at": calendar::text(consent.at)});
        put("consents", change.consents.iter().map(of).collect());
    }
    if !change.tags.is_empty() {
        put("tags", json!(change.tags));
    }
    if let Some(method) = &change.method {
        put("method", method.as_str().into());
    }
    if let Some(basket) = &change.basket {
        put("basket", basket.as_str().into());
    }
    if !change.marketing.is_empty() {
        put("marketing", json!(change.marketing));
    }
    if let Some(exempt) = change.tax_exempt {
        put("tax_exempt", exempt.into());
    }
    if let Some(sale) = &change.claims {
        put("sale", json!(sale));
    }
    Value::Object(data)
}

/// The shop's own fields that are not personal; null is one that was cleared.
fn own_fields(fields: &BTreeMap<String, Edit<String>>) -> Value {
    let shown = fields.iter().map(|(key, edit)| {
        let value = match edit {
            Edit::Set(text) => text.as_str().into(),
            Edit::Clear => Value::Null,
        };
        (key.clone(), value)
    });
    Value::Object(shown.collect())
}

fn text_of(edit: &Option<Edit<String>>) -> Option<Value> {
    edit.as_ref().map(|edit| match edit {
        Edit::Set(text) => text.as_str().into(),
        Edit::Clear => Value::Null,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use stampcard_pipeline::event::Line;

    #[test]
    fn a_sale_is_read_back_in_the_words_in_which_it_was_sent() {
        let lines = vec![
            Line {
                sku: Some("A".into()),
                quantity: 3_000,
                amount: 300,
                net: 300,
                ..Line::default()
            },
            Line {
                sku: Some("B".into()),
                quantity: 340,
                measured: true,
                amount: 51,
                net: 51,
                ..Line::default()
            },
        ];
        let data = of_sale(
            &Sale {
                lines,
                total: 351,
                ..Sale::default()
            },
            "USD",
        );
        assert_eq!(data["lines"][0]["quantity"], 3);
        assert_eq!(data["lines"][1]["quantity"], "0.340");
        assert_eq!(data["lines"][1].get("measured"), None);
        assert_eq!(
            (&data["total"], &data["currency"]),
            (&json!(351), &json!("USD"))
        );
    }

    #[test]
    fn a_cleared_field_is_null_and_one_that_was_not_said_is_absent() {
        let change = ProfileChange {
            language: Some(Edit::Clear),
            ..ProfileChange::default()
        };
        let data = of_profile(&change);
        assert_eq!(data.get("language"), Some(&Value::Null));
        assert_eq!(data.get("home_location"), None);
    }
}
