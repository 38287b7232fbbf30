//! Events as a till would write them.

use serde_json::{Value, json};

/// A sale at the till in SoHo. `data` is laid over it, key by key; without lines it is one line of
/// the whole total.
pub fn sale(id: &str, time: &str, data: Value) -> Value {
    event("sale.completed", id, time, with_goods(data))
}

/// Any other event, from the same till.
pub fn event(kind: &str, id: &str, time: &str, data: Value) -> Value {
    json!({"specversion": "1.0", "source": "till-1", "id": id, "type": kind, "time": time, "data": data})
}

/// What a basket needs and this one leaves out.
pub fn with_goods(data: Value) -> Value {
    let Value::Object(mut basket) = data else {
        panic!("data is an object")
    };
    let channel = basket
        .entry("channel")
        .or_insert_with(|| "pos".into())
        .clone();
    if channel == "pos" {
        basket.entry("location").or_insert_with(|| "soho".into());
    }
    basket.entry("currency").or_insert_with(|| "USD".into());
    let Some(total) = basket.get("total").cloned() else {
        return Value::Object(basket);
    };
    basket
        .entry("lines")
        .or_insert_with(|| json!([{"sku": "GOODS", "amount": total}]));
    Value::Object(basket)
}

/// One line for each event.
pub fn lines(events: &[Value]) -> Vec<u8> {
    events
        .iter()
        .flat_map(|event| format!("{event}\n").into_bytes())
        .collect()
}
