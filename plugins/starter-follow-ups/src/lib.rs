//! The starter pack's follow-ups: messages, tasks, prompts for the till and receipt lines, by
//! configuration alone.
//!
//! Looks at what this event is and at what was decided about it, and says what should happen
//! next. It never earns, never places a tier, and never sends: the host does, with consent.

use stampcard_sdk::prelude::*;

mod act;
mod check;
pub mod config;
mod dates;
mod fields;
mod occasion;
mod only;
mod text;

use act::Act;
use config::Config;
use fields::{Fields, Subject};
use occasion::Marks;

/// The rule, configured.
pub struct StarterFollowUps {
    config: Config,
    shop: Shop,
}

impl Rule for StarterFollowUps {
    type Config = Config;

    fn configure(config: Config, shop: &Shop) -> Result<Self> {
        check::check(&config)?;
        Ok(StarterFollowUps {
            config,
            shop: shop.clone(),
        })
    }
}

impl FollowUpTrigger for StarterFollowUps {
    fn follow_ups(&self, input: &Input) -> Result<FollowUpAnswer> {
        let before: Marks = input.remembered()?;
        let mut marks = before.clone();
        let won_tags = self
            .config
            .rules
            .values()
            .filter(|rule| rule.only.won_before_today);
        marks.observe_tags(input, won_tags.flat_map(|rule| &rule.only.tags));

        let mut answer = FollowUpAnswer::nothing();
        if input.purchase().is_some() {
            let fields = self.fields(input, Subject::Nothing);
            answer.receipt.extend(fields.receipt(&self.config.receipt));
        }
        let mut look_again_at = None;
        let mut noted = Vec::new();
        for (name, rule) in &self.config.rules {
            let mut occasion = None;
            for trigger in &rule.on {
                let looked = marks.look(name, rule, trigger, input);
                occasion = occasion.or(looked.occasion);
                look_again_at = look_again_at.into_iter().chain(looked.look_again_at).min();
            }
            let Some(occasion) = occasion.filter(|_| rule.only.admits(input, &marks)) else {
                continue;
            };
            let fields = self.fields(input, occasion.subject);
            let act = Act {
                rule,
                occasion: &occasion,
                fields,
            };
            match obstacle(name, &act, &marks) {
                Some(reason) => noted.push(reason),
                None => {
                    marks.done(name, rule, input.now);
                    noted.extend(act.fallen_back(name));
                    answer = act.act(answer);
                }
            }
        }
        if !noted.is_empty() {
            answer = answer.note(noted.join(" "));
        }
        answer.after.next_review = look_again_at.map_or(NextReview::Never, NextReview::At);
        match marks == before {
            true => Ok(answer),
            false => answer.remember(&marks),
        }
    }
}

impl StarterFollowUps {
    fn fields<'a>(&'a self, input: &'a Input, subject: Subject<'a>) -> Fields<'a> {
        Fields {
            input,
            shop: &self.shop,
            config: &self.config,
            subject,
            offer: None,
        }
    }
}

/// Why a rule that was set off does nothing, in a sentence.
fn obstacle(name: &str, act: &Act, marks: &Marks) -> Option<String> {
    if let Some(days) = act.rule.every_days
        && marks.is_within(days, name, act.fields.input.now)
    {
        return Some(format!("{name} was done in the last {days} days already."));
    }
    let field = act.missing()?;
    Some(format!("{name} was skipped: {field} is not known."))
}

stampcard_sdk::export!(StarterFollowUps: FollowUpTrigger);
