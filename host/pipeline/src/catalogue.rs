//! The catalogue: every kind of event, what it means, who sends it, and an example.
//!
//! One list for the code, the documentation and the API. A test sends every example through
//! admission.

/// One kind of event.
pub struct Kind {
    pub name: &'static str,
    /// One sentence: what has happened.
    pub meaning: &'static str,
    /// Who tells us.
    pub producer: &'static str,
    pub support: Support,
    /// The `data` of an example, as JSON.
    pub example: &'static str,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Support {
    /// Goes down the line today.
    Processed,
    /// Has its place in the contract, and is refused until the ledger can do it right.
    NotYet,
    /// Made by the host; refused from outside.
    HostOnly,
}

use Support::{HostOnly, NotYet, Processed};

macro_rules! kinds {
    ($($name:literal, $support:ident, $producer:literal, $meaning:literal, $example:literal;)*) => {
        pub const KINDS: &[Kind] = &[$(Kind {
            name: $name, meaning: $meaning, producer: $producer, support: $support, example: $example,
        }),*];
    };
}

kinds! {
    "sale.completed", Processed, "till, web store", "A basket was sold.",
        r#"{"channel":"pos","location":"soho","currency":"USD","customer":{"phone":"(212) 555-0100"},"lines":[{"sku":"JKT-M","quantity":1,"unit_price":12900}],"total":12900}"#;
    "sale.voided", Processed, "till", "A sale was taken back as if it had never been, whatever its awards say of returns.",
        r#"{"sale":{"source":"till-1","id":"1001"}}"#;
    "order.edited", Processed, "web store", "Lines were taken out of an order after the sale, or added to it. It is the same sale with other lines.",
        r#"{"order":{"system":"web","id":"1001"},"currency":"USD","removed":[{"line":1,"quantity":1}],"amount":12900,"added":[{"sku":"COAT-M","quantity":1,"unit_price":18900}],"total":18900}"#;
    "payment.settled", Processed, "payment provider", "A pending payment arrived: what its sale earned is final.",
        r#"{"order":{"system":"web","id":"1001"}}"#;
    "payment.failed", Processed, "payment provider", "A pending payment failed: what its sale earned is taken back, if that is not final yet.",
        r#"{"order":{"system":"web","id":"1001"}}"#;
    "return.completed", Processed, "till, web store", "Goods came back, or money was given back, to store credit for example. What the sale earned for them is taken back.",
        r#"{"sale":{"source":"till-1","id":"1001"},"channel":"pos","location":"soho","currency":"USD","amount":12900,"lines":[{"line":1,"quantity":1,"amount":12900}]}"#;
    "exchange.completed", Processed, "till, web store", "Goods were exchanged for others: what the sale earned for the old ones is taken back, and the new ones earn. They can come back, too.",
        r#"{"sale":{"source":"till-1","id":"1001"},"channel":"pos","location":"soho","currency":"USD","returned":[{"line":1,"quantity":1}],"amount":12900,"lines":[{"sku":"COAT-M","quantity":1,"unit_price":18900}],"total":18900}"#;
    "order.fulfilled", Processed, "web store, warehouse", "An order, or a part of it, was packed and sent off.",
        r#"{"customer":{"email":"ana@example.com"},"channel":"online","order":{"system":"web","id":"1001"}}"#;
    "order.delivered", Processed, "web store, carrier", "An order, or a part of it, arrived at the customer's.",
        r#"{"customer":{"email":"ana@example.com"},"channel":"online","order":{"system":"web","id":"1001"}}"#;
    "pickup.collected", Processed, "till", "An online order was collected in a store.",
        r#"{"customer":{"email":"ana@example.com"},"channel":"pos","location":"soho","order":{"system":"web","id":"1001"}}"#;
    "checkout.started", Processed, "till, web store", "A basket is open and not paid; the answer may have prompts and discounts.",
        r#"{"channel":"pos","location":"soho","currency":"USD","customer":{"card":"L-100"},"lines":[{"sku":"JKT-M","quantity":1,"unit_price":12900}],"total":12900}"#;
    "checkout.updated", Processed, "till, web store", "An open basket changed.",
        r#"{"channel":"online","currency":"USD","customer":{"email":"ana@example.com"},"lines":[{"sku":"JKT-M","quantity":2,"unit_price":12900}],"total":25800}"#;
    "checkout.abandoned", Processed, "web store", "An open basket was left.",
        r#"{"channel":"online","customer":{"email":"ana@example.com"},"total":25800}"#;
    "customer.identified", Processed, "till, web store", "A customer was recognised, by what they say, show or hold to the till; the answer has their card. With `sale`, they claim a guest sale.",
        r#"{"customer":{"card":"L-100"},"channel":"pos","location":"soho","staff":"staff-7","method":"nfc","basket":"b-17"}"#;
    "customer.created", Processed, "staff, web store", "A profile was made.",
        r#"{"customer":{"email":"ana@example.com","phone":"+12125550100"},"given_name":"Ana","family_name":"Ruiz","birthday":"02-29"}"#;
    "customer.updated", Processed, "staff, web store", "A profile was edited; null clears a field.",
        r#"{"customer":{"email":"ana@example.com"},"language":"es","home_location":null}"#;
    "customer.merged", Processed, "staff, host", "Two profiles are one person: the one that is kept has from now on what happened to both, and the points of both.",
        r#"{"keep":"cus_a","other":"cus_b","confirmed_on":"phone","actor":"staff-7","reason":"registered twice"}"#;
    "customer.unmerged", Processed, "staff", "A merge was wrong: what happened goes back to the customer by whose e-mail, phone or card it came.",
        r#"{"keep":"cus_a","other":"cus_b","actor":"staff-7","reason":"mother and daughter"}"#;
    "merge.declined", Processed, "staff", "Two profiles that look like one person are two: they are not suggested again, and no policy merges them.",
        r#"{"keep":"cus_a","other":"cus_b","actor":"staff-7","reason":"father and son"}"#;
    "customer.archived", NotYet, "staff", "A profile is not used any more.",
        r#"{"customer":"cus_a"}"#;
    "customer.deleted", Processed, "staff", "A person wants to be forgotten: what is known of them is deleted, their points are forfeited, and the ledger stays under a name that says nothing.",
        r#"{"customer":{"email":"ana@example.com"},"actor":"staff-7","reason":"asked for it"}"#;
    "ticket.opened", Processed, "help desk", "The customer asked for help; what about is kept where they asked.",
        r#"{"customer":{"email":"ana@example.com"},"channel":"online","ticket":{"system":"desk","id":"T-9"},"topic":"repair"}"#;
    "ticket.closed", Processed, "help desk", "The customer was helped, or gave up.",
        r#"{"customer":{"email":"ana@example.com"},"ticket":{"system":"desk","id":"T-9"},"topic":"repair","solved":true}"#;
    "consent.changed", Processed, "till, web store", "The customer said yes or no to a purpose.",
        r#"{"customer":{"email":"ana@example.com"},"purpose":"email","granted":true}"#;
    "tag.added", Processed, "staff, till", "A tag was set.",
        r#"{"customer":{"email":"ana@example.com"},"tag":"VIP","actor":"staff-7","reason":"regular"}"#;
    "tag.removed", Processed, "staff, till", "A tag was cleared.",
        r#"{"customer":{"email":"ana@example.com"},"tag":"VIP"}"#;
    "note.added", Processed, "staff, till", "Staff wrote a note about the customer.",
        r#"{"customer":{"email":"ana@example.com"},"note":"Prefers linen.","actor":"staff-7"}"#;
    "note.edited", Processed, "staff, till", "A note was written anew, or withdrawn with null; what it said before is kept.",
        r#"{"customer":{"email":"ana@example.com"},"edits":{"source":"till-1","id":"n-1"},"note":"Prefers linen and wool.","actor":"staff-7"}"#;
    "tags.assigned", Processed, "staff", "A tag was set or cleared for many customers at once; each of them has an event of their own.",
        r#"{"tag":"VIP","action":"add","customers":12,"actor":"staff-7","reason":"spring list"}"#;
    "loyalty.enrolled", Processed, "till, web store", "The customer joined the programme.",
        r#"{"customer":{"email":"ana@example.com"},"channel":"pos","location":"soho","staff":"staff-7"}"#;
    "referral.signup", Processed, "till, web store", "A friend joined with somebody's code: they are enrolled, and rules may give points to both.",
        r#"{"customer":{"email":"bo@example.com"},"code":"7K3MQ-2PRXZ","via":"instagram","channel":"online"}"#;
    "referral.revoked", Processed, "staff", "A customer's code works no more; joining again gives them another one.",
        r#"{"customer":{"email":"ana@example.com"},"actor":"staff-7","reason":"found on a page of vouchers"}"#;
    "referral.joined", HostOnly, "host", "A friend joined with the customer's code, and rules may have given the customer points for it.",
        r#"{"referral":"ref_0r6h3m9c1w8k2f7d5t4b9n1q","friend":"cus_b","of":{"source":"shop","id":"7"},"points":200}"#;
    "referral.awarded", HostOnly, "host", "A friend did something for which rules gave the customer points, or brought it back, which takes them again.",
        r#"{"referral":"ref_0r6h3m9c1w8k2f7d5t4b9n1q","friend":"cus_b","of":{"source":"till-1","id":"1001"},"points":500}"#;
    "points.adjusted", Processed, "staff", "Staff gave or took points, with a reason.",
        r#"{"customer":{"email":"ana@example.com"},"points":50,"actor":"staff-7","reason":"goodwill"}"#;
    "points.forfeited", Processed, "staff", "The customer loses points, so many or all that are not set aside: for abuse, or because the account is closed. A return does not take them again.",
        r#"{"customer":{"email":"ana@example.com"},"actor":"staff-7","reason":"receipts of others"}"#;
    "credit.adjusted", Processed, "staff", "Staff gave or took store credit, with a reason.",
        r#"{"customer":{"email":"ana@example.com"},"amount":1250,"actor":"staff-7","reason":"goodwill"}"#;
    "points.imported", Processed, "migration", "A balance came over from another programme, with the ends that its parts had, or a tier since when it was held. It was not earned here, and sends nothing.",
        r#"{"customer":{"email":"ana@example.com"},"lots":[{"points":300,"expires_at":"2024-12-31T23:59:59-05:00"},{"points":50}],"tier":{"key":"silver","since":"2023-06-01T00:00:00-04:00","keep_until":"2024-12-31T23:59:59-05:00"},"reason":"from the old programme","actor":"staff-7"}"#;
    "points.expired", HostOnly, "host", "Points were not used in time.",
        r#"{"customer":{"email":"ana@example.com"},"points":50}"#;
    "tier.overridden", Processed, "staff", "Staff placed the customer in a tier, which no rule changes until then; null gives it back to the rules.",
        r#"{"customer":{"email":"ana@example.com"},"tier":"gold","until":"2024-12-31T23:59:59-05:00","actor":"staff-7","reason":"press"}"#;
    "redemption.reserved", Processed, "till, web store", "Points were set aside, for a reward or at their general worth, or store credit; the answer has the code that the customer shows.",
        r#"{"customer":{"email":"ana@example.com"},"points":200,"channel":"online"}"#;
    "redemption.allowed", Processed, "till", "Points were set aside for a till that may lose its connection: it may redeem as many without asking, for a while, and shows the allowance that the answer has.",
        r#"{"customer":{"email":"ana@example.com"},"points":50,"channel":"pos","location":"soho"}"#;
    "redemption.offline", Processed, "till", "Points were given while the till was not connected: by an allowance, or without one where the shop takes that. They are gone as of then.",
        r#"{"customer":{"email":"ana@example.com"},"points":50,"channel":"pos","location":"soho","order":{"system":"till","id":"1001"}}"#;
    "redemption.confirmed", Processed, "till, web store", "What the points were set aside for was given: they are gone. A sale with the code among its discounts says the same.",
        r#"{"redemption":"red_0r6h3m9c1w8k2f7d5t4b9n1q","channel":"pos","location":"soho","order":{"system":"till","id":"1001"}}"#;
    "redemption.cancelled", Processed, "till, web store", "It was not given: the points are free again.",
        r#"{"code":"7K3MQ-0P1XZ","reason":"changed their mind"}"#;
    "redemption.approved", Processed, "staff", "A second person agreed to a large redemption.",
        r#"{"redemption":"red_0r6h3m9c1w8k2f7d5t4b9n1q","actor":"staff-9"}"#;
    "redemption.denied", Processed, "staff", "A second person did not agree to a large redemption: the points are free again.",
        r#"{"redemption":"red_0r6h3m9c1w8k2f7d5t4b9n1q","actor":"staff-9","reason":"ask for a receipt first"}"#;
    "catalog.updated", Processed, "web store, merchandising", "Products were added to the catalogue, or are not as they were; it is kept for reference, and no rule reads it.",
        r#"{"currency":"USD","products":[{"product":"jacket","variant":"JKT-M","name":"Jacket, M","price":12900,"collections":["spring"],"flags":["new"]}]}"#;
    "stock.updated", Processed, "web store, inventory", "So many pieces of a product are at a location, or for a channel. A reward that is a product is not promised where there is none.",
        r#"{"stock":[{"sku":"MUG","location":"soho","quantity":3},{"sku":"MUG","channel":"online","quantity":0}]}"#;
    "visit.counted", Processed, "door counter", "People came in; nobody in particular.",
        r#"{"location":"soho","count":3}"#;
    "store_event.attended", Processed, "staff", "The customer came to an event in the store.",
        r#"{"customer":{"email":"ana@example.com"},"location":"soho","store_event":"spring-party"}"#;
    "receipt.reissued", Processed, "till", "A receipt was printed or sent again; nothing is earned.",
        r#"{"customer":{"email":"ana@example.com"},"channel":"pos","location":"soho","order":{"system":"till","id":"1001"}}"#;
    "page.viewed", Processed, "web store", "A customer who is logged in looked at a page, or a browser did of which nobody has said whose it is (`customer.anon`).",
        r#"{"customer":{"email":"ana@example.com"},"channel":"online","page":"/jackets"}"#;
    "review.due", HostOnly, "host", "A time that a plugin asked for, or that the host keeps, has come; or other rules went live, and the host asks again.",
        r#"{}"#;
}

/// What the URIs of the catalogue's schemas begin with.
pub const SCHEMAS: &str = "https://stampcard.dev/schemas/";
/// The versions of the data of events that are read side by side, the first one for events that name
/// none. New fields that may be left out make no new version; a field that means something else does.
pub const DATA_VERSIONS: [&str; 1] = ["v1"];

/// What an event of a kind may name as its `dataschema`.
pub fn schema_of(kind: &str, version: &str) -> String {
    format!("{SCHEMAS}{kind}/{version}")
}

/// The prefix of kinds that a shop makes up itself.
pub const OWN_PREFIX: &str = "x.";

pub fn find(name: &str) -> Option<&'static Kind> {
    KINDS.iter().find(|kind| kind.name == name)
}

/// The known name that is nearest to a misspelt one.
pub fn nearest(name: &str) -> &'static str {
    KINDS
        .iter()
        .map(|kind| kind.name)
        .min_by_key(|known| distance(name, known))
        .expect("the catalogue is not empty")
}

/// How many letters must change to turn one word into another (Levenshtein).
pub fn distance(one: &str, other: &str) -> usize {
    let other: Vec<char> = other.chars().collect();
    let mut row: Vec<usize> = (0..=other.len()).collect();
    for (i, letter) in one.chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, candidate) in other.iter().enumerate() {
            let replaced = diagonal + usize::from(letter != *candidate);
            diagonal = row[j + 1];
            row[j + 1] = replaced.min(row[j] + 1).min(row[j + 1] + 1);
        }
    }
    row[other.len()]
}
