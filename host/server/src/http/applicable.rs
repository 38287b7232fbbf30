//! Discounts that a till can take off by itself for whoever stands before it.

use super::schema;
use serde::Serialize;
use stampcard_pipeline::event::{Instant, Money};
use stampcard_pipeline::fold::Fold;
use stampcard_pipeline::offers;
use stampcard_pipeline::outcome::{DiscountView, Outcome, PromptView, Time};
use stampcard_pipeline::rules::DiscountScope;
use stampcard_pipeline::shop::ReferralPolicy;
use stampcard_store::reads::{Person, TimelineRow};
use utoipa::ToSchema;

/// A discount on the basket that was promised to the customer and is open. The till takes it off, and
/// confirms it with the sale.
#[derive(Debug, Serialize, ToSchema)]
pub struct Applicable {
    /// What the sale carries as the `code` of one of its `discounts`: that confirms it, and uses it up.
    #[schema(example = "WELCOME-7F3K2M9A")]
    pub id: String,
    /// What it is, and what it takes off.
    #[schema(value_type = schema::Discount)]
    pub discount: DiscountView,
    /// What to say about it, where a rule says so.
    pub text: Option<String>,
    /// The least total of a basket with which it is given, in minor units.
    pub minimum: Money,
    #[schema(value_type = Option<String>, format = DateTime)]
    pub valid_until: Option<Time>,
    pub plugin: String,
}

/// The offers that are open now and are for the basket as a whole, each as it was promised last.
/// `rows` are events of the customer, the newest first.
pub fn applicable(
    head: &Fold,
    rows: &[TimelineRow],
    person: &Person,
    referral: Option<&ReferralPolicy>,
    now: Instant,
) -> Vec<Applicable> {
    let is_open = |until: Option<Instant>| until.is_none_or(|until| until > now);
    let open = head
        .offers
        .iter()
        .filter(|(_, held)| held.used_at.is_none());
    let open = open.filter(|(_, held)| is_open(held.valid_until));
    open.filter_map(|(plugin, held)| {
        let said = rows
            .iter()
            .find_map(|row| promised(&row.outcome, plugin, &held.key));
        let (discount, prompt) = said?;
        let text = prompt.map(|mut prompt| {
            prompt.fill(|field| person.value(field, referral));
            prompt.text
        });
        let has_begun = discount.valid_from.is_none_or(|from| from.0 <= now);
        let is_on_all = matches!(
            discount.scope,
            DiscountScope::Basket | DiscountScope::NextPurchase
        );
        (has_begun && is_on_all).then(|| Applicable {
            id: offers::id_of(plugin, held),
            minimum: discount.minimum,
            valid_until: held.valid_until.map(Time),
            plugin: plugin.clone(),
            discount,
            text,
        })
    })
    .collect()
}

/// An offer as an event promised it, in a message or with a prompt for the till.
fn promised(
    outcome: &Outcome,
    plugin: &str,
    key: &str,
) -> Option<(DiscountView, Option<PromptView>)> {
    let prompts = outcome.prompts.iter().filter(|it| it.plugin == plugin);
    let at_the_till = prompts
        .filter_map(|it| Some((it.discount.clone()?, Some(it.clone()))))
        .find(|(discount, _)| discount.key == key);
    let messages = outcome.follow_ups.iter().filter(|it| it.plugin == plugin);
    let in_a_message = || {
        let mut offers = messages.filter_map(|it| it.offer.clone());
        offers.find(|discount| discount.key == key)
    };
    at_the_till.or_else(|| Some((in_a_message()?, None)))
}
