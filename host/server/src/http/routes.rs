//! Every route: its path, who may use it, what it takes and what it answers.
//!
//! One list for the router, for the keys and for OpenAPI, so that none of them can say something
//! else than the others.

use super::ask::Nothing;
use super::auth::{
    APPROVES, EDITS, FORGETS, LOOKS_AT_ITEMS, MAKES_CUSTOMERS, MERGES, ORDERS_RULES, RUNS_OUTBOX,
    Role, SEES_CUSTOMERS, SEES_DECISIONS, SEES_OUTBOX, SEES_RULES, SEES_SUGGESTIONS, SENDS,
};
use super::page::Paging;
use super::{
    Door, allowances, customers, devices, effect, events, forgetting, health, history, hooks,
    installing, membership, merges, metrics, next, notes, openapi, orders, outbox, plugins,
    products, profile, profile_rules, redemptions, referral, reports, review_items, rules, schema,
    segments, stock, stream, tag_jobs, tag_list, tags, tier, till, tokens,
};
use crate::merchant::{Foreseen, Installed};
use axum::handler::Handler;
use axum::routing::{MethodRouter, delete, get, patch, post, put};
use serde_json::Value;
use std::sync::Arc;
use utoipa::openapi::path::{Parameter, ParameterIn};
use utoipa::{IntoParams, ToSchema};

/// One route, and what is said of it.
pub struct Route {
    pub method: &'static str,
    pub path: &'static str,
    /// The roles that may use it; `None` is everybody, without a key.
    pub may: Option<&'static [Role]>,
    /// Names it in generated clients.
    pub name: &'static str,
    /// What it does, in a sentence.
    pub about: &'static str,
    pub parameters: Vec<Parameter>,
    pub headers: Vec<SentHeader>,
    /// The schema of its body, as application/json: generated clients know what to do with one type.
    pub body: Option<Value>,
    pub answer: Answer,
    /// Statuses of problems that it has beside those that every route has.
    pub problems: Vec<u16>,
    /// Schemas that it refers to.
    pub schemas: Vec<(String, Value)>,
    pub handler: MethodRouter<Arc<Door>>,
}

/// What a route answers when all is well.
pub struct Answer {
    pub status: u16,
    pub content: &'static str,
    /// `None` for what is not JSON.
    pub schema: Option<Value>,
    pub headers: Vec<(&'static str, &'static str)>,
}

/// A header that a caller sends.
pub struct SentHeader {
    pub name: &'static str,
    pub about: &'static str,
    pub required: bool,
    /// What it looks like, as a regular expression.
    pub pattern: &'static str,
}

const JSON: &str = "application/json";
const IDEMPOTENCY_KEY: &str = "Idempotency-Key";

#[rustfmt::skip]
pub fn all() -> Vec<Route> {
    vec![
        Route::post("/v1/events", "sendEvents", events::take).may(SENDS)
            .about("Takes one event, or a batch: a JSON array, answered by an array of outcomes and problems in the same order, each its own commit. The answer leaves when it is on disk. The types application/cloudevents+json and application/cloudevents-batch+json are taken as well.")
            .body_one_or_many::<schema::Event>()
            .answers_one_or_many::<schema::Outcome, events::BatchItem>().problems(&[409, 413, 415, 422]),
        Route::post("/v1/preview", "previewEvent", events::preview).may(SENDS)
            .about("What an event would do, with nothing committed: \"you will earn 79 points\".")
            .body::<schema::Event>()
            .answers::<schema::Outcome>().problems(&[409, 413, 415, 422]),
        Route::get("/v1/events", "readEvent", events::one).may(SEES_DECISIONS)
            .about("An event by its name, what became of it, and why: what each plugin saw, decided and noted.")
            .asks::<events::Which>().answers::<events::EventRecord>().problems(&[404]),
        Route::get("/v1/stream", "streamOutcomes", stream::stream).may(SEES_DECISIONS)
            .about("Outcomes as server-sent events, in the order of the journal, when they are on disk. Each has its number as `id`; who comes again with it as Last-Event-ID goes on after it and misses nothing. A reader that takes nothing for a while is sent the event `resume` and the end.")
            .header("Last-Event-ID", "The last `id` that came; it goes above `after`.", false, "^[0-9]*$")
            .asks::<stream::StreamAsked>().streams::<stream::StreamItem>().problems(&[404]),

        Route::get("/v1/customers", "findCustomers", customers::find).may(SEES_CUSTOMERS)
            .about("Customers by what they go by, or all of them in the order in which they came.")
            .asks::<customers::Filter>().answers_pages_of::<profile::Customer>(),
        Route::post("/v1/customers", "createCustomer", customers::create).may(MAKES_CUSTOMERS)
            .about("Makes a customer. It is an event as any other; one that is there already is not made twice (409).")
            .body::<schema::NewCustomer>()
            .answers::<profile::Customer>().created().problems(&[409, 413, 415, 422]),
        Route::get("/v1/customers/{id}", "readCustomer", customers::read).may(SEES_CUSTOMERS)
            .about("One customer.").of_customer().answers::<profile::Customer>().with_etag(),
        Route::patch("/v1/customers/{id}", "editCustomer", customers::edit).may(EDITS)
            .about("Edits a profile: a JSON merge patch, also under its own type. It is an event as any other; If-Match keeps one person from overwriting another.")
            .of_customer()
            .header("If-Match", "The ETag of the customer as you read it, or * for whatever it is.", true, r#"^(\*|"[0-9]+")$"#)
            .body::<schema::CustomerEdit>()
            .answers::<profile::Customer>().with_etag().problems(&[409, 412, 413, 415, 422, 428]),
        Route::delete("/v1/customers/{id}", "forgetCustomer", forgetting::forget).may(FORGETS)
            .about("Forgets a person because they want it: what they are called and go by, what was written about them and what rules remember is deleted; the ledger and what was bought stay, under a name that says nothing. It is an event as any other, and cannot be taken back. What is not sent yet is not sent.")
            .of_customer().asks::<forgetting::ForgetAsked>()
            .answers::<profile::Customer>().with_etag().problems(&[409]),
        Route::post("/v1/customers/{id}/merge", "mergeCustomers", merges::merge).may(MERGES)
            .about("Takes another customer in: from now on what happened to both happened to this one, who has the points of both. It is an event as any other; with `dry_run` it only says what would come of it.")
            .of_customer().body::<merges::MergeAsked>().answers::<schema::Outcome>().problems(&[409, 413, 415, 422]),
        Route::post("/v1/customers/{id}/unmerge", "unmergeCustomers", merges::unmerge).may(MERGES)
            .about("Takes a merge back: each event goes to the customer by whose e-mail, phone or card it came, and the answer says of which events nobody can tell.")
            .of_customer().body::<merges::ApartAsked>().answers::<schema::Outcome>().problems(&[409, 413, 415, 422]),
        Route::post("/v1/customers/{id}/decline-merge", "declineMerge", merges::decline).may(MERGES)
            .about("Says that two customers are two people: they are not suggested again, and no policy merges them.")
            .of_customer().body::<merges::ApartAsked>().answers::<schema::Outcome>().problems(&[409, 413, 415, 422]),
        Route::get("/v1/merge-suggestions", "listMergeSuggestions", merges::suggestions).may(SEES_SUGGESTIONS)
            .about("Customers who look like one person, because one event named both. Accept one with the merge of `keep`, or decline it.")
            .asks::<Paging>().answers_pages_of::<merges::MergeSuggestion>(),
        Route::get("/v1/customers/{id}/timeline", "readTimeline", history::timeline).may(SEES_CUSTOMERS)
            .about("What happened, newest first by when it happened.")
            .of_customer().asks::<Paging>().answers_pages_of::<history::TimelineItem>(),
        Route::get("/v1/customers/{id}/ledger", "readLedger", history::ledger).may(SEES_CUSTOMERS)
            .about("What was booked, newest first.")
            .of_customer().asks::<history::LedgerAsked>().answers_pages_of::<history::LedgerEntry>(),
        Route::get("/v1/customers/{id}/segments", "readSegments", membership::segments).may(SEES_CUSTOMERS)
            .about("Where the customer belongs, since when, until when, and why.")
            .of_customer().asks::<membership::SegmentsAsked>().answers::<membership::Memberships>(),
        Route::get("/v1/customers/{id}/follow-ups", "readFollowUps", next::follow_ups).may(SEES_CUSTOMERS)
            .about("Messages that are planned, and those that were suppressed, cancelled or withdrawn.")
            .of_customer().asks::<next::FollowUpsAsked>().answers::<next::FollowUps>(),
        Route::get("/v1/customers/{id}/next", "readNext", next::next).may(SEES_CUSTOMERS)
            .about("What should happen next: messages, prompts, reviews and offers, with the rule that says so.")
            .of_customer().answers::<next::Next>(),
        Route::get("/v1/customers/{id}/offers", "readOffers", next::offers).may(SEES_CUSTOMERS)
            .about("What there is for the customer: discounts that were promised (open, used and expired), what their tier is worth, and campaigns that run, each with its end.")
            .of_customer().asks::<next::OffersAsked>().answers::<next::Offers>(),
        Route::get("/v1/customers/{id}/redemptions", "readRedemptionsOf", redemptions::of_customer).may(SEES_CUSTOMERS)
            .about("What the customer gave points for, or has set them aside for, the newest first.")
            .of_customer().asks::<Paging>().answers_pages_of::<redemptions::Redemption>(),
        Route::get("/v1/customers/{id}/referral", "readReferral", referral::of_customer).may(SEES_CUSTOMERS)
            .about("The code and the link with which the customer brings friends, and what came of it.")
            .of_customer().answers::<referral::Referral>(),
        Route::get("/v1/customers/{id}/consents", "readConsents", next::consents_of).may(SEES_CUSTOMERS)
            .about("What the customer agreed to, and since when.")
            .of_customer().answers::<next::Consents>(),
        Route::get("/v1/customers/{id}/balance", "readBalance", till::balance).may(SEES_CUSTOMERS)
            .about("One number, the same for every key; a read after an answered sale has its points.")
            .of_customer().answers::<till::Balance>(),
        Route::get("/v1/customers/{id}/tier", "readTier", tier::tier).may(SEES_CUSTOMERS)
            .about("The tier in full: its name in the customer's language, its badge and benefits, since when, until when, and how far it is to the next.")
            .of_customer().asks::<tier::TierAsked>().answers::<tier::TierNow>(),
        Route::post("/v1/customers/{id}/token", "mintToken", tokens::mint).may(SENDS)
            .about("A token that says who the customer is, for a few minutes and once: a storefront shows it as a QR code, and a till sends it in customer.identified.")
            .of_customer().answers::<tokens::Token>(),
        Route::post("/v1/customers/{id}/allowances", "allowOffline", allowances::allow).may(SENDS)
            .about("What a till may redeem for the customer while it is not connected: a signed allowance that it carries. The points are set aside from now on, until some days after it ends. What was redeemed by it is told with `redemption.offline`. Sent again with the same key it is the same allowance.")
            .header(IDEMPOTENCY_KEY, "The caller's own name for this allowance, new for each.", true, "^[ -~]{1,255}$")
            .of_customer().body::<schema::NewAllowance>()
            .answers::<allowances::AllowanceView>().at_its_place().problems(&[409, 413, 415, 422]),
        Route::get("/v1/customers/{id}/card", "readCard", till::card).may(SEES_CUSTOMERS)
            .about("What a till shows: the last purchases, tier, balance, offers and prompts.")
            .of_customer().asks::<till::CardAsked>().answers::<till::Card>(),
        Route::get("/v1/customers/{id}/locations", "readLocations", history::locations).may(SEES_CUSTOMERS)
            .about("What the customer bought at each location.")
            .of_customer().answers::<history::Locations>(),

        Route::get("/v1/customers/{id}/orders", "readOrders", orders::orders).may(SEES_CUSTOMERS)
            .about("What the customer bought, in stores and online, in one order of time, with its points.")
            .of_customer().asks::<orders::OrdersAsked>().answers_pages_of::<orders::Order>(),
        Route::get("/v1/customers/{id}/notes", "readNotes", notes::notes).may(SEES_CUSTOMERS)
            .about("What staff wrote about the customer, and what each note said before.")
            .of_customer().asks::<notes::NotesAsked>().answers::<notes::Notes>(),

        Route::post("/v1/redemptions", "reservePoints", redemptions::reserve).may(SENDS)
            .about("Sets points aside for a customer and answers the code that they show. The points are gone when it is confirmed, and free again when it is cancelled or nobody says anything in time. Sent again with the same key it sets nothing aside twice.")
            .header(IDEMPOTENCY_KEY, "The caller's own name for this redemption, new for each.", true, "^[ -~]{1,255}$")
            .body::<schema::NewRedemption>()
            .answers::<redemptions::Redemption>().at_its_place().problems(&[409, 413, 415, 422]),
        Route::get("/v1/redemptions", "listRedemptionsToApprove", redemptions::to_approve).may(SEES_CUSTOMERS)
            .about("Redemptions that wait for a second person, the oldest first.")
            .asks::<Paging>().answers_pages_of::<redemptions::Redemption>(),
        Route::get("/v1/redemptions/{id}", "readRedemption", redemptions::one).may(SEES_CUSTOMERS)
            .about("One redemption.").of_redemption().answers::<redemptions::Redemption>(),
        Route::post("/v1/redemptions/{id}/confirm", "confirmRedemption", redemptions::confirm).may(SENDS)
            .about("It was given: the points are gone. With its sale or order they come back when the goods do. By its id it can be said again; a code that is shown again was used (409).")
            .of_redemption().acts_on_redemption(),
        Route::post("/v1/redemptions/{id}/cancel", "cancelRedemption", redemptions::cancel).may(SENDS)
            .about("It was not given: the points are free again.")
            .of_redemption().acts_on_redemption(),
        Route::post("/v1/redemptions/{id}/approve", "approveRedemption", redemptions::approve).may(APPROVES)
            .about("A second person agrees to a large redemption.")
            .of_redemption().acts_on_redemption(),
        Route::post("/v1/redemptions/{id}/deny", "denyRedemption", redemptions::deny).may(APPROVES)
            .about("A second person does not agree: the points are free again.")
            .of_redemption().acts_on_redemption(),

        Route::get("/v1/profile-rules", "readProfileRules", profile_rules::profile_rules).may(SEES_DECISIONS)
            .about("What a profile must and may have at a location, with the sentences for staff to say, and how often it was not so.")
            .asks::<profile_rules::RulesAsked>().answers::<profile_rules::ProfileRules>().problems(&[404]),

        Route::get("/v1/tags", "listTags", tags::tags).may(SEES_DECISIONS)
            .about("Every tag: what it means, who may set it, how many customers have it, and what may want tidying up.")
            .answers::<tags::Tags>(),
        Route::post("/v1/tags:bulk", "assignTag", tag_jobs::bulk).may(SENDS)
            .about("Sets or clears a tag for a list of customers or for everybody whom a query finds: an event for each of them, and one for the job. Sent again with the same key it does nothing twice.")
            .body::<tag_jobs::TagsBulk>()
            .answers::<tag_jobs::BulkDone>().problems(&[409, 413, 415, 422]),
        Route::get("/v1/tags:export", "exportTags", tag_list::export).may(SEES_DECISIONS)
            .about("The customers who have tags, and their tags, as a table for a spreadsheet (CSV). Taken in again with the mode replace it changes nothing.")
            .answers_text("text/csv"),
        Route::post("/v1/tags:import", "importTags", tag_list::import).may(SENDS)
            .about("Sets, clears or replaces tags as a table (CSV) says: for exactly the customers in it, an event for each change. Sent again with the same key it does nothing twice.")
            .body::<tag_list::TagsImport>()
            .answers::<tag_list::Imported>().problems(&[409, 413, 415, 422]),
        Route::get("/v1/segments", "listSegments", segments::segments).may(SEES_DECISIONS)
            .about("Every segment, what it means, and how many are in it.")
            .answers::<segments::Segments>(),
        Route::get("/v1/segments/{key}/members", "listMembers", segments::members).may(SEES_DECISIONS)
            .about("Who is in a segment, or was at some instant.")
            .in_path("key", "The key of the segment.").asks::<segments::MembersAsked>()
            .answers_pages_of::<segments::Member>().problems(&[404]),
        Route::get("/v1/segments/{key}", "readSegment", segments::segment).may(SEES_DECISIONS)
            .about("One segment with what decides it, and who uses it. A tag that only people set is a list made by hand, and is marked as such.")
            .in_path("key", "The key of the segment, or a tag.")
            .answers::<segments::SegmentSource>().problems(&[404]),
        Route::post("/v1/segments/{key}/members", "writeMembers", segments::write_members).may(SENDS)
            .about("Puts customers on a list that is made by hand, or takes them off: an event for each of them. A segment that a rule decides takes nobody (409).")
            .in_path("key", "A tag that only people set.").body::<segments::MembersWritten>()
            .answers::<tag_jobs::BulkDone>().problems(&[404, 409, 413, 415, 422]),
        Route::get("/v1/reports/segments", "reportSegments", reports::segments).may(SEES_DECISIONS)
            .about("Every segment with its size, what moved, which rules look at it, and what may want tidying up.")
            .asks::<reports::SegmentsAsked>().answers::<crate::reports::SegmentsReport>(),
        Route::get("/v1/reports/movements", "reportMovements", reports::movements).may(SEES_DECISIONS)
            .about("Who entered and who left each segment, by the days of the shop.")
            .asks::<reports::MovementsAsked>().answers::<crate::reports::MovementsReport>(),
        Route::get("/v1/reports/prices", "reportPrices", reports::prices).may(SEES_DECISIONS)
            .about("Lines of the newest sales that were sold at another price than the catalogue has.")
            .answers::<crate::reports::PricesReport>(),
        Route::get("/v1/reports/liability", "reportLiability", reports::liability).may(SEES_DECISIONS)
            .about("What the shop owes in points: what is left, by when it was earned and when it ends.")
            .answers::<crate::reports::LiabilityReport>(),
        Route::get("/v1/plugins", "listPlugins", plugins::plugins).may(SEES_RULES)
            .about("The plugins that are live, their health and what they use of their limits, and what could not be loaded.")
            .answers::<plugins::Plugins>(),
        Route::put("/v1/plugins/{name}", "installPlugin", installing::install).may(ORDERS_RULES)
            .about("Brings a plugin live, in the place of its earlier version. It is loaded and configured first; if it cannot be, nothing changes.")
            .in_path("name", "The plugin's name, as its manifest has it.").body::<installing::NewPlugin>()
            .answers::<Installed>().problems(&[413, 415, 422]),
        Route::post("/v1/plugins/{name}/rollback", "rollBackPlugin", installing::roll_back).may(ORDERS_RULES)
            .about("Brings back the version of a plugin that was live before this one.")
            .in_path("name", "The plugin's name.").body::<installing::ChangeAsked>()
            .answers::<Installed>().problems(&[404, 409, 413, 415, 422]),
        Route::post("/v1/plugins/{name}/release", "releasePlugin", installing::release).may(ORDERS_RULES)
            .about("Lets a quarantined plugin be called again as it is, and asks again for what it missed; or lets one keep its instances again that was found to remember.")
            .in_path("name", "The plugin's name.").body::<installing::ChangeAsked>()
            .answers::<Installed>().problems(&[404, 409, 413, 415, 422]),
        Route::post("/v1/plugins/{name}/preview", "previewPlugin", installing::preview).may(ORDERS_RULES)
            .about("What bringing a plugin live would do to the customers there are. Nothing is kept.")
            .in_path("name", "The plugin's name, as its manifest has it.").body::<installing::NewPlugin>()
            .answers::<Foreseen>().problems(&[413, 415, 422]),
        Route::get("/v1/plugins/{name}/effect", "readEffect", effect::effect).may(SEES_RULES)
            .about("What a plugin has done, version by version: whom it reached, what it gave, what it planned, and who bought afterwards.")
            .in_path("name", "The plugin's name; also of one that is live no more.")
            .asks::<effect::EffectAsked>().answers::<effect::Effect>().problems(&[404]),
        Route::get("/v1/devices", "listDevices", devices::devices).may(SEES_DECISIONS)
            .about("The devices that say who they are: where each stands, when it called last, and whether it has heard of the rules that are live. A device is known by `device` in its events, and in reads of cards and profile rules.")
            .asks::<devices::DevicesAsked>().answers::<devices::DeviceList>(),
        Route::get("/v1/rules/graph", "readRulesGraph", rules::graph).may(SEES_RULES)
            .about("Which events ask which plugins, and what those may do.")
            .answers::<rules::Graph>(),
        Route::get("/v1/catalogue", "readCatalogue", rules::catalogue).may(SEES_DECISIONS)
            .about("Every kind of event: what it means, its fields and an example.")
            .answers::<rules::Catalogue>(),
        Route::get("/v1/catalogue/products", "listProducts", products::products).may(SEES_DECISIONS)
            .about("The products of which catalog.updated has told, each as the newest event about it has it. No rule reads them.")
            .asks::<products::ProductsAsked>().answers_pages_of::<products::ProductView>(),
        Route::get("/v1/catalogue/stock", "listStock", stock::stock).may(SEES_DECISIONS)
            .about("What there is of products, as stock.updated has told it, each as the newest event has it. A reward that is a product is not promised where there is none.")
            .asks::<stock::StockAsked>().answers_pages_of::<stock::StockView>(),
        Route::get("/v1/review-items", "listReviewItems", review_items::list).may(SEES_OUTBOX)
            .about("What waits for a person to look at, oldest first: sales that look like one, payments that failed too late, late events, customers who may be one person.")
            .asks::<review_items::ItemsAsked>().answers_pages_of::<review_items::ReviewItem>(),
        Route::post("/v1/review-items/{id}/close", "closeReviewItem", review_items::close).may(LOOKS_AT_ITEMS)
            .about("Says what somebody found who looked at an item. It changes no customer: what should follow is an event of its own.")
            .in_path("id", "The item's id.").body::<review_items::CloseItem>()
            .answers::<review_items::ReviewItem>().problems(&[404, 409, 413, 415]),
        Route::get("/v1/outbox", "listOutbox", outbox::list).may(SEES_OUTBOX)
            .about("What is planned for all customers, the next due first; with `state` what was sent, what is dead, what was too late or was dropped, the newest first.")
            .asks::<outbox::OutboxAsked>().answers_pages_of::<next::FollowUp>(),
        Route::get("/v1/outbox/{id}", "readFollowUp", outbox::one).may(SEES_OUTBOX)
            .about("One follow-up: how often it was tried, and what was wrong.")
            .in_path("id", "Its id in the outbox.").answers::<next::FollowUp>().problems(&[404]),
        Route::post("/v1/outbox/{id}/retry", "retryFollowUp", outbox::retry).may(RUNS_OUTBOX)
            .about("Sends one again that is dead, was too late or was dropped: now, and as often as at first. Its receiver knows it by the same name.")
            .in_path("id", "Its id in the outbox.").answers::<next::FollowUp>().problems(&[404, 409]),
        Route::post("/v1/outbox/{id}/drop", "dropFollowUp", outbox::drop).may(RUNS_OUTBOX)
            .about("Says that one is not to be sent. No rule plans it again.")
            .in_path("id", "Its id in the outbox.").answers::<next::FollowUp>().problems(&[404, 409]),

        Route::post("/v1/hooks/{source}", "hearWebhook", hooks::take)
            .about("Webhooks of the sources that merchant.toml has under [[hooks]]: a payment that failed or arrived, a sale that was taken back, money that was given back. The signature is the key. What was understood is answered with 200, also when it was told before or its sale has not come yet.")
            .in_path("source", "The name of the hook.").body::<schema::Webhook>()
            .answers::<hooks::HookAnswer>().problems(&[400, 401, 404, 409, 413, 422, 503]),

        Route::get("/healthz", "readHealth", health::alive).about("The server runs.").answers::<health::Alive>(),
        Route::get("/readyz", "readReadiness", health::ready).about("The shop takes events; 503 with the reason if it does not.")
            .answers::<health::Ready>(),
        Route::get("/metrics", "readMetrics", metrics::show).about("Figures for Prometheus.").answers_text("text/plain"),
        Route::get("/openapi.json", "readOpenApi", openapi::show).about("This description.").answers_text(JSON),
    ]
}

impl Route {
    fn get<H: Handler<T, Arc<Door>>, T: 'static>(
        path: &'static str,
        name: &'static str,
        handler: H,
    ) -> Route {
        Route::new("get", path, name, get(handler))
    }

    fn post<H: Handler<T, Arc<Door>>, T: 'static>(
        path: &'static str,
        name: &'static str,
        handler: H,
    ) -> Route {
        Route::new("post", path, name, post(handler))
    }

    fn put<H: Handler<T, Arc<Door>>, T: 'static>(
        path: &'static str,
        name: &'static str,
        handler: H,
    ) -> Route {
        Route::new("put", path, name, put(handler))
    }

    fn delete<H: Handler<T, Arc<Door>>, T: 'static>(
        path: &'static str,
        name: &'static str,
        handler: H,
    ) -> Route {
        Route::new("delete", path, name, delete(handler))
    }

    fn patch<H: Handler<T, Arc<Door>>, T: 'static>(
        path: &'static str,
        name: &'static str,
        handler: H,
    ) -> Route {
        Route::new("patch", path, name, patch(handler))
    }

    fn new(
        method: &'static str,
        path: &'static str,
        name: &'static str,
        handler: MethodRouter<Arc<Door>>,
    ) -> Route {
        Route {
            method,
            path,
            may: None,
            name,
            about: "",
            // A route that takes no query says so with `Nothing`.
            parameters: Nothing::into_params(|| Some(ParameterIn::Query)),
            headers: Vec::new(),
            body: None,
            answer: Answer {
                status: 200,
                content: JSON,
                schema: None,
                headers: Vec::new(),
            },
            problems: Vec::new(),
            schemas: Vec::new(),
            handler,
        }
    }

    /// Whether there is anything to ask for in a query.
    pub fn takes_query(&self) -> bool {
        let is_asked = |known: &Parameter| known.parameter_in == ParameterIn::Query;
        self.parameters.iter().any(is_asked)
    }

    fn may(mut self, roles: &'static [Role]) -> Route {
        self.may = Some(roles);
        self
    }

    fn about(mut self, about: &'static str) -> Route {
        self.about = about;
        self
    }

    fn asks<Q: IntoParams>(mut self) -> Route {
        self.parameters
            .extend(Q::into_params(|| Some(ParameterIn::Query)));
        self
    }

    fn in_path(mut self, name: &str, about: &str) -> Route {
        let parameter = openapi::path_parameter(name, about);
        self.parameters.push(parameter);
        self
    }

    /// One who was merged leads on to who they are now.
    fn of_customer(self) -> Route {
        let leads_on = if self.method == "get" { 301 } else { 308 };
        self.in_path("id", "The customer's id: cus_…")
            .problems(&[leads_on, 404])
    }

    fn of_redemption(self) -> Route {
        self.in_path("id", "The redemption's id (red_…), or its code.")
            .problems(&[404])
    }

    /// Says what becomes of a redemption.
    fn acts_on_redemption(self) -> Route {
        self.header(
            IDEMPOTENCY_KEY,
            "The caller's own name for this request; a code that is shown once can be sent again with it.",
            false,
            "^[ -~]{1,255}$",
        )
        .body::<schema::RedemptionAct>()
        .answers::<redemptions::Redemption>()
        .problems(&[409, 413, 415, 422])
    }

    fn header(
        mut self,
        name: &'static str,
        about: &'static str,
        required: bool,
        pattern: &'static str,
    ) -> Route {
        self.headers.push(SentHeader {
            name,
            about,
            required,
            pattern,
        });
        self
    }

    fn body<T: ToSchema>(mut self) -> Route {
        self.body = Some(self.refer::<T>());
        self
    }

    fn body_one_or_many<T: ToSchema>(mut self) -> Route {
        let schema = self.refer::<T>();
        self.body = Some(openapi::one_of(&[schema.clone(), openapi::list_of(schema)]));
        self
    }

    fn answers<T: ToSchema>(mut self) -> Route {
        self.answer.schema = Some(self.refer::<T>());
        self
    }

    /// A [`super::page::Page`] of these.
    fn answers_pages_of<T: ToSchema>(mut self) -> Route {
        let items = self.refer::<T>();
        let (reference, name, page) = openapi::page_of(&T::name(), items);
        self.schemas.push((name, page));
        self.answer.schema = Some(reference);
        self
    }

    fn answers_one_or_many<One: ToSchema, Item: ToSchema>(mut self) -> Route {
        let (one, item) = (self.refer::<One>(), self.refer::<Item>());
        self.answer.schema = Some(openapi::one_of(&[one, openapi::list_of(item)]));
        self
    }

    fn answers_text(mut self, content: &'static str) -> Route {
        self.answer.content = content;
        self
    }

    /// An endless list of these, as server-sent events.
    fn streams<T: ToSchema>(mut self) -> Route {
        self.refer::<T>();
        self.answers_text("text/event-stream")
    }

    fn created(self) -> Route {
        self.at_its_place().with_etag()
    }

    fn at_its_place(mut self) -> Route {
        self.answer.status = 201;
        let location = ("Location", "The path of what was made.");
        self.answer.headers.push(location);
        self
    }

    fn with_etag(mut self) -> Route {
        self.answer
            .headers
            .push(("ETag", "Give it back as If-Match to edit what you read."));
        self
    }

    fn problems(mut self, statuses: &[u16]) -> Route {
        self.problems.extend(statuses);
        self
    }

    /// A reference to a type's schema, which comes along with all that it refers to.
    fn refer<T: ToSchema>(&mut self) -> Value {
        let (reference, schemas) = openapi::referred::<T>();
        self.schemas.extend(schemas);
        reference
    }
}
