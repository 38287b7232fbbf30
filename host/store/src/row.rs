//! How our types look in columns, both ways: one place for each form.

use crate::codec::{pack, unpack};
use crate::error::Trouble;
use rusqlite::Row;
use serde::Serialize;
use stampcard_pipeline::change::{
    Explanation, LotKey, LotKind, RecordedCall, RedemptionState, TakingKind,
};
use stampcard_pipeline::currency::Currency;
use stampcard_pipeline::event::{Channel, Event, Instant, Position};
use stampcard_pipeline::fold::{Fold, Moved};
use stampcard_pipeline::outcome::Outcome;
use stampcard_pipeline::rules::{Instance, OnReturn};
use stampcard_pipeline::store::StoreError;

pub(crate) fn pack_json(value: &impl Serialize) -> Vec<u8> {
    pack(&serde_json::to_vec(value).expect("our own types are JSON"))
}

pub(crate) fn event(packed: &[u8]) -> Result<Event, Trouble> {
    Ok(serde_json::from_slice(&unpack(packed)?)?)
}

/// The answer with the numbers of its entries, which are stored relative to the first.
pub(crate) fn outcome(packed: &[u8], first_entry: Option<i64>) -> Result<Outcome, Trouble> {
    let mut outcome: Outcome = serde_json::from_slice(&unpack(packed)?)?;
    number_entries(&mut outcome, first_entry);
    Ok(outcome)
}

/// Gives the entries of an answer their numbers, which begin at `first`: points first, then credit.
pub(crate) fn number_entries(outcome: &mut Outcome, first: Option<i64>) {
    let first = first.unwrap_or(0);
    let entries = outcome.points.iter_mut().chain(&mut outcome.store_credit);
    for (number, view) in (first..).zip(entries) {
        view.entry = number;
    }
}

/// The layout of stored explanations, their first byte. They are kept as long as the ledger, so a
/// program that changes the layout keeps a reader for this one.
const EXPLANATION_FORMAT: u8 = 2;
/// The same with a byte for each call at the end, which says what it ran in. It is written where one
/// ran in an instance that is kept.
const EXPLANATION_WITH_INSTANCES: u8 = 3;

pub(crate) fn pack_explanation(explanation: &Explanation) -> Vec<u8> {
    let ran_in = |call: &RecordedCall| call.answer.usage().instance;
    let calls = explanation.calls.iter();
    let with_instances = calls.clone().any(|call| ran_in(call) != Instance::Fresh);
    let bytes = vec![if with_instances {
        EXPLANATION_WITH_INSTANCES
    } else {
        EXPLANATION_FORMAT
    }];
    let mut bytes = postcard::to_extend(explanation, bytes).expect("an explanation is plain data");
    if with_instances {
        bytes.extend(calls.map(|call| ran_in(call) as u8));
    }
    pack(&bytes)
}

pub(crate) fn explanation(packed: &[u8]) -> Result<Explanation, Trouble> {
    match unpack(packed)?.split_first() {
        Some((&EXPLANATION_FORMAT, fields)) => Ok(postcard::from_bytes(fields)?),
        Some((&EXPLANATION_WITH_INSTANCES, bytes)) => {
            let (mut explanation, instances): (Explanation, _) = postcard::take_from_bytes(bytes)?;
            let (calls, said) = (explanation.calls.len(), instances.len());
            if calls != said {
                let problem = format!(
                    "an explanation has {calls} calls, and says of {said} what they ran in"
                );
                return Err(StoreError::Corrupt(problem).into());
            }
            for (call, number) in explanation.calls.iter_mut().zip(instances) {
                let known = Instance::ALL.get(usize::from(*number)).copied();
                let instance =
                    known.ok_or_else(|| unknown("kind of instance", &number.to_string()))?;
                call.answer.usage_mut().instance = instance;
            }
            Ok(explanation)
        }
        format => {
            let format = format.map_or(0, |(format, _)| *format);
            let problem =
                format!("an explanation has format {format}, which this program does not know");
            Err(StoreError::Corrupt(problem).into())
        }
    }
}

/// `None` if the bytes are of another version of this program.
pub(crate) fn fold(packed: &[u8]) -> Result<Option<Fold>, Trouble> {
    Ok(Fold::from_bytes(&unpack(packed)?))
}

pub(crate) fn instant(row: &Row, index: usize) -> rusqlite::Result<Instant> {
    row.get(index).map(Instant)
}

pub(crate) fn some_instant(row: &Row, index: usize) -> rusqlite::Result<Option<Instant>> {
    Ok(row.get::<_, Option<i64>>(index)?.map(Instant))
}

pub(crate) fn position(row: &Row, index: usize) -> rusqlite::Result<Position> {
    Ok(Position {
        at: instant(row, index)?,
        source: row.get(index + 1)?,
        id: row.get(index + 2)?,
    })
}

pub(crate) fn channel_column(channel: Option<Channel>) -> Option<i64> {
    channel.map(|channel| channel as i64)
}

pub(crate) fn channel(row: &Row, index: usize) -> rusqlite::Result<Option<Channel>> {
    let number: Option<u8> = row.get(index)?;
    Ok(number.and_then(|number| Channel::ALL.get(usize::from(number)).copied()))
}

pub(crate) fn currency_column(currency: Currency) -> i64 {
    currency as i64
}

pub(crate) fn currency(row: &Row, index: usize) -> rusqlite::Result<Currency> {
    let number: usize = row.get::<_, u8>(index)?.into();
    let known = Currency::ALL.get(number).copied();
    known.ok_or(rusqlite::Error::IntegralValueOutOfRange(
        index,
        number as i64,
    ))
}

/// The columns `at, channel, orders, spend, returns, returned, earned`.
pub(crate) fn moved(row: &Row, index: usize) -> rusqlite::Result<Moved> {
    Ok(Moved {
        at: instant(row, index)?,
        channel: channel(row, index + 1)?,
        orders: row.get(index + 2)?,
        spend: row.get(index + 3)?,
        returns: row.get(index + 4)?,
        returned: row.get(index + 5)?,
        earned: row.get(index + 6)?,
    })
}

/// The columns `at, source, event, plugin, kind, reason, covers, available_from, expires_at,
/// on_return, ordinal, currency`.
pub(crate) fn lot_key(row: &Row, index: usize) -> Result<LotKey, Trouble> {
    let covers: String = row.get(index + 6)?;
    Ok(LotKey {
        origin: position(row, index)?,
        plugin: row.get(index + 3)?,
        kind: lot_kind(
            row.get_ref(index + 4)?
                .as_str()
                .map_err(rusqlite::Error::from)?,
        )?,
        reason: row.get(index + 5)?,
        covers: serde_json::from_str(&covers)?,
        available_from: some_instant(row, index + 7)?,
        expires_at: some_instant(row, index + 8)?,
        on_return: on_return(
            row.get_ref(index + 9)?
                .as_str()
                .map_err(rusqlite::Error::from)?,
        )?,
        ordinal: row.get(index + 10)?,
        currency: currency(row, index + 11)?,
    })
}

fn lot_kind(text: &str) -> Result<LotKind, Trouble> {
    let found = LotKind::ALL.into_iter().find(|kind| kind.name() == text);
    found.ok_or_else(|| unknown("kind of lot", text))
}

pub(crate) fn taking_kind(text: &str) -> Result<TakingKind, Trouble> {
    let found = TakingKind::ALL.into_iter().find(|kind| kind.name() == text);
    found.ok_or_else(|| unknown("reason to take points", text))
}

pub(crate) fn redemption_state(text: &str) -> Result<RedemptionState, Trouble> {
    let mut states = RedemptionState::ALL.into_iter();
    let found = states.find(|state| state.name() == text);
    found.ok_or_else(|| unknown("state of a redemption", text))
}

pub(crate) fn on_return_column(on_return: OnReturn) -> String {
    match on_return {
        OnReturn::Proportional => "proportional".into(),
        OnReturn::WholeBelow(amount) => format!("whole-below:{amount}"),
        OnReturn::Keep => "keep".into(),
    }
}

fn on_return(text: &str) -> Result<OnReturn, Trouble> {
    match text {
        "proportional" => Ok(OnReturn::Proportional),
        "keep" => Ok(OnReturn::Keep),
        other => other
            .strip_prefix("whole-below:")
            .and_then(|amount| amount.parse().ok())
            .map(OnReturn::WholeBelow)
            .ok_or_else(|| unknown("rule for returns", other)),
    }
}

/// The word that serde has for a variant without contents.
pub(crate) fn word(value: &impl Serialize) -> Result<String, Trouble> {
    Ok(serde_json::to_value(value)?
        .as_str()
        .unwrap_or_default()
        .to_owned())
}

pub(crate) fn unknown(what: &str, text: &str) -> Trouble {
    StoreError::Corrupt(format!("{text:?} is not a {what}")).into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use stampcard_pipeline::change::Answered;
    use stampcard_pipeline::rules::{Call, PointAnswer, Role, Usage};

    fn explained(ran_in: &[Instance]) -> Explanation {
        let call = |instance: &Instance| RecordedCall {
            plugin: 0,
            role: Role::PointFormula,
            input: b"an input".to_vec(),
            answer: Answered::Points(Call {
                result: Ok(PointAnswer::default()),
                usage: Usage {
                    fuel: 5_120,
                    instance: *instance,
                    ..Usage::default()
                },
            }),
        };
        Explanation {
            position: Position {
                at: Instant(1),
                source: "till-1".into(),
                id: "ord-1".into(),
            },
            journal: None,
            is_review: false,
            calls: ran_in.iter().map(call).collect(),
            notes: vec!["noted".into()],
        }
    }

    #[test]
    fn what_each_call_ran_in_is_read_again_and_costs_nothing_where_all_are_fresh() {
        let all = explained(&Instance::ALL);
        assert_eq!(explanation(&pack_explanation(&all)).unwrap(), all);
        let fresh = explained(&[Instance::Fresh; 4]);
        let packed = pack_explanation(&fresh);
        assert_eq!(explanation(&packed).unwrap(), fresh);
        assert_eq!(unpack(&packed).unwrap()[0], EXPLANATION_FORMAT);
    }

    #[test]
    fn what_no_program_of_ours_wrote_is_refused() {
        let mut bytes = vec![EXPLANATION_WITH_INSTANCES];
        bytes.extend(postcard::to_stdvec(&explained(&[Instance::Kept])).unwrap());
        for bad in [vec![9], vec![9, 0], Vec::new()] {
            let packed = pack(&[bytes.clone(), bad.clone()].concat());
            let read = explanation(&packed);
            assert!(read.is_err(), "{bad:?}");
        }
    }
}
