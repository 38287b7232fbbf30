//! What a rule does when it is set off: messages, tasks, prompts with discounts, receipt lines.
//! Nothing here decides whether.

use stampcard_sdk::prelude::*;

use crate::config::{Message, Offer, OfferOn, Prompting, PurposeName, Rule, Task};
use crate::fields::Fields;
use crate::occasion::Occasion;
use crate::text::{Text, shortened};

/// What the contract takes, in characters.
const PROMPT_CHARS_MAX: usize = 200;
const RECEIPT_CHARS_MAX: usize = 80;

/// One rule that was set off.
pub struct Act<'a> {
    pub rule: &'a Rule,
    pub occasion: &'a Occasion<'a>,
    pub fields: Fields<'a>,
}

impl<'a> Act<'a> {
    /// What to note where the prompt is not in the customer's language, in a sentence.
    pub fn fallen_back(&self, name: &str) -> Option<String> {
        let language = self.fields.input.customer.language.as_deref()?;
        let text = &self.rule.prompt.as_ref()?.text;
        let lacks = text.lacks(language, &self.fields.shop.language);
        lacks.then(|| format!("{name} has no words in {language}; the default ones were taken."))
    }

    /// The first required field that is not known.
    pub fn missing(&self) -> Option<&'a str> {
        let required = self.rule.requires.iter().map(String::as_str);
        required
            .into_iter()
            .find(|field| self.fields.value(field).is_none())
    }

    /// Does everything that the rule says.
    pub fn act(mut self, mut answer: FollowUpAnswer) -> FollowUpAnswer {
        let rule = self.rule;
        if let Some(message) = &rule.message {
            self.fields.offer = message.offer.as_ref();
            answer = answer.follow_up(self.message(message));
        }
        if let Some(task) = &rule.task {
            self.fields.offer = None;
            answer = answer.follow_up(self.task(task));
        }
        if let Some(prompting) = &rule.prompt {
            self.fields.offer = prompting.offer.as_ref();
            if let Some(prompt) = self.prompt(prompting) {
                answer = answer.prompt(prompt);
            }
        }
        let of_prompt = rule.prompt.as_ref().and_then(|it| it.offer.as_ref());
        let of_message = rule.message.as_ref().and_then(|it| it.offer.as_ref());
        self.fields.offer = of_prompt.or(of_message);
        for line in self.fields.receipt(&rule.receipt) {
            answer = answer.receipt(line);
        }
        answer
    }

    fn message(&self, message: &Message) -> FollowUp {
        let customer = &self.fields.input.customer;
        // Without any consent the host is left to say so, for the channel that is preferred.
        let agreed = message
            .channels
            .iter()
            .find(|channel| customer.consents_to(channel));
        let channel = agreed
            .or(message.channels.first())
            .map_or("", String::as_str);
        let plan = match message.purpose {
            PurposeName::Marketing => FollowUp::marketing,
            PurposeName::Service => FollowUp::service,
        };
        let mut planned = plan(
            channel,
            &message.template,
            &self.occasion.name,
            &self.occasion.reason,
        )
        .send_at(message.after)
        .expires_at(message.expires);
        planned.data = self.data(&message.data);
        planned.cancelled_by = message.cancelled_by.clone();
        planned.offer = message
            .offer
            .as_ref()
            .and_then(|offer| self.offer(offer, false));
        planned
    }

    fn task(&self, task: &Task) -> FollowUp {
        let key = format!("{}:task", self.occasion.name);
        let mut planned = FollowUp::service("task", &task.template, key, &self.occasion.reason);
        planned.data = self.data(&task.data);
        if let Some(days) = task.due_days {
            let due = self.fields.input.now + i64::from(days) * DAY;
            planned = planned.data("due", Value::At(due));
        }
        planned.cancelled_by = task.cancelled_by.clone();
        planned
    }

    fn data<'b>(
        &self,
        texts: impl IntoIterator<Item = (&'b String, &'b Text)>,
    ) -> Vec<(String, Value)> {
        let value = |text: &Text| match text.only_field() {
            Some(field) => self.fields.value(field),
            None => self.fields.write(text).map(Value::Text),
        };
        let known = texts
            .into_iter()
            .filter_map(|(name, text)| Some((name.clone(), value(text)?)));
        known.collect()
    }

    /// None if its text cannot be written, or if its discount has nothing to be on.
    fn prompt(&self, prompting: &Prompting) -> Option<Prompt> {
        let discount = match &prompting.offer {
            Some(offer) => Some(self.offer(offer, true)?),
            None => None,
        };
        let kind = match (&prompting.kind, &discount) {
            (Some(kind), _) => kind,
            (None, Some(_)) => "discount",
            (None, None) => "message",
        };
        let text = shortened(self.fields.write(&prompting.text)?, PROMPT_CHARS_MAX);
        let prompt = Prompt {
            discount,
            ..Prompt::new(kind, text)
        };
        Some(match prompting.priority {
            0 => prompt,
            priority => prompt.attribute("priority", priority),
        })
    }

    fn offer(&self, offer: &Offer, at_till: bool) -> Option<DiscountOffer> {
        let input = self.fields.input;
        let is_open =
            at_till && (input.checkout().is_some() || input.event.is("customer.identified"));
        let goods = || offer.goods.as_ref().map(|goods| goods.goods());
        let scope = match offer.on {
            OfferOn::Basket if is_open => DiscountScope::Basket,
            OfferOn::Basket | OfferOn::NextPurchase => DiscountScope::NextPurchase,
            OfferOn::MatchingLines => DiscountScope::Lines(self.matching_lines()?),
            OfferOn::Gift => DiscountScope::Gift(goods()?),
            OfferOn::NextGoods => DiscountScope::NextGoods(goods()?),
        };
        let (key, reason) = (&self.occasion.name, &self.occasion.reason);
        let made = match (offer.amount, offer.share) {
            (Some(amount), _) => DiscountOffer::amount_off(key, amount, reason),
            (None, share) => DiscountOffer::share_off(key, share?, reason),
        };
        let made = made
            .minimum(offer.minimum)
            .valid_from(offer.from_tomorrow.then_some(input.event.local.next_day))
            .valid_until(offer.valid);
        let made = match (&offer.code, &offer.code_prefix) {
            (Some(code), _) => made.shared_code(code),
            (None, Some(prefix)) => made.unique_code(prefix),
            (None, None) => made,
        };
        Some(DiscountOffer { scope, ..made })
    }

    fn matching_lines(&self) -> Option<Vec<u32>> {
        let basket = self.fields.input.checkout()?;
        let goods = self.rule.only.goods.as_ref()?;
        let lines = basket.lines.iter().filter(|line| goods.names(line));
        let lines: Vec<_> = lines.map(|line| line.number).collect();
        Some(lines).filter(|lines| !lines.is_empty())
    }
}

impl Fields<'_> {
    /// The text in the customer's language, if it can be written.
    pub fn write(&self, text: &Text) -> Option<String> {
        let language = self.input.customer.language.as_deref();
        let language = language.unwrap_or(&self.shop.language);
        text.write(Some(language), |field| self.written(field))
    }

    /// The lines that can be written, as long as a receipt is wide.
    pub fn receipt(&self, lines: &[Text]) -> impl Iterator<Item = String> {
        let written = lines.iter().filter_map(|line| self.write(line));
        written.map(|line| shortened(line, RECEIPT_CHARS_MAX))
    }
}
