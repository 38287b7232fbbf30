//! Facts: what the host keeps about each customer, so that most rules need no state of their own.
//!
//! This is the only module that moves them. Windows are exact and cost the same for the largest
//! customer: each keeps its sums, and what leaves it is read from the history.

use crate::calendar::LocalTime;
use crate::erasure;
use crate::event::{
    Body, Channel, Consent, Edit, Event, Exchange, IdentifierKind, Instant, Line, Points,
    ProfileChange, Sale,
};
use crate::fold::{Basket, DAY_MS, Fold, Group, Largest, Moved, window_ms};
use crate::limits;
use crate::line::Context;
use crate::offers;
use crate::person::PersonField;
use crate::referral;
use crate::returns::Returning;
use crate::rules::{Fact, Rules, Tally, Totals};
use crate::walk::{Step, Walk};
use jiff::tz::TimeZone;
use std::collections::{BTreeMap, VecDeque};

/// The scopes that a manifest may ask for.
pub const SCOPES: [&str; 6] = [
    "location",
    "category",
    "collection",
    "product",
    "tag",
    "staff",
];

/// The attribute under which rules are told that a customer pays no tax.
pub const TAX_EXEMPT: &str = "tax_exempt";

/// Begins a customer with their first event.
pub fn begin(fold: &mut Fold, event: &Event, with: Context) {
    fold.created_at = event.at;
    fold.origin = match (&event.body, event.channel) {
        _ if event.historical => "import",
        (_, Some(Channel::Pos)) => "pos",
        (_, Some(Channel::Online)) => "online",
        _ => "manual",
    }
    .into();
    for scope in wanted_scopes(with.rules) {
        fold.facts.entry(scope.to_owned()).or_default();
    }
}

/// Whether every scope that a plugin asks for has been counted from this customer's first event.
pub fn are_complete(fold: &Fold, rules: &dyn Rules) -> bool {
    fold.events == 0 || wanted_scopes(rules).all(|scope| fold.facts.contains_key(scope))
}

fn wanted_scopes(rules: &dyn Rules) -> impl Iterator<Item = &str> {
    rules
        .plugins()
        .iter()
        .flat_map(|plugin| plugin.facts.iter().map(String::as_str))
}

/// Counts the event before any rule sees it, and edits the profile.
pub fn count(walk: &mut Walk, step: &mut Step) {
    let now = step.event.at;
    for window in 0..walk.leaving.len() {
        leave(&mut walk.fold, &mut walk.leaving[window], window, now);
    }
    turn_the_calendar(&mut walk.fold, now, &walk.with.shop.zone);
    for account in walk.fold.accounts_mut() {
        account
            .maturing
            .retain(|available_from, _| *available_from > now);
    }
    let event = step.event.clone();
    end_tags(walk, step, now);
    for kind in &event.identified_by {
        let field = match kind {
            IdentifierKind::Email => PersonField::Email,
            IdentifierKind::Phone => PersonField::Phone,
            IdentifierKind::Card | IdentifierKind::External => continue,
        };
        walk.fold.known.insert(field);
    }
    match &event.body {
        Body::Sale(sale) | Body::Exchange(Exchange { bought: sale, .. }) => {
            walk.fold.basket = None;
            count_sale(&mut walk.fold, &event, sale, &mut step.moved);
            offers::mark_used(&mut walk.fold, sale, now);
            set_fields(&mut walk.fold, &sale.fields);
            for tag in &sale.tags_to_add {
                set_tag(walk, step, tag, true, None);
            }
            walk.refresh(step);
        }
        Body::Profile(change) => {
            edit_profile(&mut walk.fold, &event, change);
            for tag in &change.tags {
                set_tag(walk, step, tag, true, None);
            }
            referral::join(walk, step);
            referral::know_code(walk, &event);
        }
        Body::Referral(it) => referral::count(&mut walk.fold, it),
        Body::CodeRevoked(_) => {
            for field in PersonField::SHARED {
                walk.fold.known.remove(&field);
            }
        }
        Body::Consent(consent) => {
            choose(&mut walk.fold, consent);
        }
        Body::Tag(change) => set_tag(walk, step, &change.tag, change.added, change.until),
        Body::Checkout(sale) => open_basket(walk, &event, sale),
        Body::Other(_) if event.kind == "checkout.abandoned" => walk.fold.basket = None,
        Body::Erasure(_) => erasure::forget(walk, step),
        Body::Adjustment(_)
        | Body::CreditAdjustment(_)
        | Body::Forfeit(_)
        | Body::Placement(_)
        | Body::Import(_)
        | Body::Note(_)
        | Body::Visit(_)
        | Body::Return(_)
        | Body::Edit(_)
        | Body::Payment(_)
        | Body::Redemption(_)
        | Body::Merge(_)
        | Body::Unmerge(_)
        | Body::Declined(_)
        | Body::Review
        | Body::RulesChanged(_)
        | Body::Other(_) => {}
    }
    if let Some(returning) = step.returning.take() {
        match &event.body {
            Body::Edit(edit) => count_edit(walk, edit, &returning, &mut step.moved),
            _ => count_return(walk, &event, &returning, &mut step.moved),
        }
        step.returning = Some(returning);
    }
    if matches!(
        event.body,
        Body::Profile(_) | Body::Consent(_) | Body::Tag(_) | Body::Erasure(_)
    ) {
        walk.refresh(step);
    }
    for (scope, group) in &walk.fold.facts {
        step.facts
            .insert(scope.clone(), facts_of(scope, group, &event));
    }
}

/// Counts the points that the event has earned, before the tier rule looks.
pub fn count_earned(walk: &mut Walk, step: &mut Step, earned: Points) {
    step.moved.earned = earned;
    let totals = &mut walk.fold.totals;
    for tally in tallies(totals, step.moved.channel) {
        tally.earned += earned;
    }
}

/// Puts the event's move where later windows find it.
pub fn keep(walk: &mut Walk, step: &mut Step) {
    if step.moved.is_nothing() {
        return;
    }
    let fold = &mut walk.fold;
    for window in 0..walk.leaving.len() {
        walk.leaving[window].push_back(step.moved);
        let leaves = Instant(step.event.at.0 + window_ms(window));
        fold.leaves_at[window].get_or_insert(leaves);
    }
}

/// Somebody may leave it: the shop says after how long that is so.
fn open_basket(walk: &mut Walk, event: &Event, sale: &Sale) {
    let minutes = walk.with.shop.file.policies.abandoned_after_minutes;
    if minutes == 0 || event.historical {
        return;
    }
    walk.fold.basket = Some(Basket {
        source: event.source.clone(),
        id: event.id.clone(),
        at: event.at,
        left_at: Instant(event.at.0 + i64::from(minutes) * MINUTE_MS),
        channel: event.channel,
        location: event.location.clone(),
        total: sale.total,
    });
}

const MINUTE_MS: i64 = 60_000;

fn count_sale(fold: &mut Fold, event: &Event, sale: &Sale, moved: &mut Moved) {
    (moved.orders, moved.spend) = (1, sale.total);
    fold.totals.previous_sale_at = fold.totals.lifetime.last_at;
    for tally in tallies(&mut fold.totals, event.channel) {
        add(tally, moved);
    }
    put_largest(fold, event, sale.total);
    for (scope, group) in &mut fold.facts {
        for (key, spend) in keys_of(scope, event, sale) {
            count_key(group, key, spend, moved.at);
        }
    }
}

/// A return counts when it happens, whenever its sale was.
fn count_return(walk: &mut Walk, event: &Event, returning: &Returning, moved: &mut Moved) {
    (moved.returns, moved.returned) = (1, returning.amount());
    let fold = &mut walk.fold;
    let totals = &mut fold.totals;
    for tally in tallies(totals, event.channel) {
        tally.returns += 1;
        tally.returned += returning.amount();
    }
    if returning.is_whole {
        let sale = &walk.sold[returning.sale()].event;
        let hash = name_hash(sale);
        fold.largest.retain(|largest| largest.hash != hash);
        totals.largest_sale = fold.largest.first().map_or(0, |largest| largest.total);
    }
    for (scope, group) in &mut fold.facts {
        for (key, returned) in keys_returned(scope, event, returning) {
            if let Some(tally) = group.tallies.get_mut(key) {
                tally.returns += 1;
                tally.returned += returned;
            }
        }
    }
}

/// An edit is no order and no return: its sale cost more, or less. It counts when it happens, in the
/// channel of the sale.
fn count_edit(walk: &mut Walk, edit: &Exchange, returning: &Returning, moved: &mut Moved) {
    let sale = walk.sold[returning.sale()].event.clone();
    let dearer = edit.bought.total - returning.amount();
    (moved.channel, moved.spend) = (sale.channel, dearer);
    let fold = &mut walk.fold;
    for tally in tallies(&mut fold.totals, sale.channel) {
        tally.spend += dearer;
    }
    let hash = name_hash(&sale);
    if let Some(place) = fold.largest.iter().position(|it| it.hash == hash) {
        let total = fold.largest.remove(place).total + dearer;
        put_largest(fold, &sale, total);
    }
    for (scope, group) in &mut fold.facts {
        for (key, removed) in keys_returned(scope, &sale, returning) {
            if let Some(tally) = group.tallies.get_mut(key) {
                tally.spend -= removed;
            }
        }
        for (key, added) in keys_of(scope, &sale, &edit.bought) {
            let has_it = |line: &Line| keys_of_line(scope, line).contains(&key);
            match group.tallies.get_mut(key) {
                Some(tally) if !is_of_lines(scope) || returning.sale_had(has_it) => {
                    tally.spend += added;
                }
                _ => count_key(group, key, added, moved.at),
            }
        }
    }
}

/// Whether the keys of a scope are those of lines, and not of the sale as a whole.
fn is_of_lines(scope: &str) -> bool {
    !matches!(scope, "location" | "staff")
}

/// The keys of one scope of which a return brings something back, each once, with the money.
fn keys_returned<'a>(
    scope: &str,
    event: &'a Event,
    returning: &'a Returning,
) -> Vec<(&'a str, i64)> {
    let place = match scope {
        "location" => &event.location,
        "staff" => &event.staff,
        _ => {
            let mut keys: BTreeMap<&str, i64> = BTreeMap::new();
            for (line, lost) in &returning.lost {
                for key in keys_of_line(scope, line) {
                    *keys.entry(key).or_default() += lost;
                }
            }
            return keys.into_iter().collect();
        }
    };
    let key = place.as_deref().map(|key| (key, returning.amount()));
    key.into_iter().collect()
}

/// Keeps the largest sales, so that the next one is known when the first is returned.
fn put_largest(fold: &mut Fold, event: &Event, total: i64) {
    let place = fold.largest.partition_point(|held| held.total >= total);
    if place >= limits::LARGEST_SALES {
        return;
    }
    let hash = name_hash(event);
    fold.largest.insert(place, Largest { total, hash });
    fold.largest.truncate(limits::LARGEST_SALES);
    fold.totals.largest_sale = fold.largest[0].total;
}

/// FNV-1a of an event's name: the same on every machine and in every version.
fn name_hash(event: &Event) -> u64 {
    let bytes = event.source.bytes().chain([0]).chain(event.id.bytes());
    bytes.fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    })
}

/// Begins a new month or year where the shop's calendar has turned since the last step.
fn turn_the_calendar(fold: &mut Fold, now: Instant, zone: &TimeZone) {
    let today = LocalTime::at(now, zone);
    let (year, month) = fold.calendar;
    if (year, month) == (today.year, today.month) {
        return;
    }
    let totals = &mut fold.totals;
    totals.this_month = Tally::default();
    if year != today.year {
        let ended = std::mem::take(&mut totals.this_year);
        totals.last_year = if year + 1 == today.year {
            ended
        } else {
            Tally::default()
        };
    }
    fold.calendar = (today.year, today.month);
}

/// Every tally that an event of now moves, by channel if it has one.
fn tallies(totals: &mut Totals, channel: Option<Channel>) -> impl Iterator<Item = &mut Tally> {
    let of_channel = channel.map(|channel| &mut totals.channels[channel as usize]);
    [&mut totals.lifetime]
        .into_iter()
        .chain(of_channel)
        .chain(&mut totals.windows)
        .chain([&mut totals.this_month, &mut totals.this_year])
}

fn add(tally: &mut Tally, moved: &Moved) {
    tally.orders += moved.orders;
    tally.spend += moved.spend;
    tally.returns += moved.returns;
    tally.returned += moved.returned;
    if moved.orders > 0 {
        tally.first_at.get_or_insert(moved.at);
        tally.last_at = Some(moved.at);
    }
}

/// Takes out of a window what is exactly its length old, or older.
fn leave(fold: &mut Fold, leaving: &mut VecDeque<Moved>, window: usize, now: Instant) {
    if fold.leaves_at[window].is_none_or(|leaves| leaves > now) {
        return;
    }
    let tally = &mut fold.totals.windows[window];
    let edge = Instant(now.0 - window_ms(window));
    while let Some(oldest) = leaving.front().filter(|oldest| oldest.at <= edge) {
        tally.orders -= oldest.orders;
        tally.spend -= oldest.spend;
        tally.returns -= oldest.returns;
        tally.returned -= oldest.returned;
        tally.earned -= oldest.earned;
        leaving.pop_front();
    }
    tally.first_at = leaving
        .iter()
        .find(|moved| moved.orders > 0)
        .map(|moved| moved.at);
    if tally.first_at.is_none() {
        tally.last_at = None;
    }
    fold.leaves_at[window] = leaving
        .front()
        .map(|oldest| Instant(oldest.at.0 + window_ms(window)));
}

/// The keys of one scope that a sale touches, each once, with the spend that is theirs.
fn keys_of<'a>(scope: &str, event: &'a Event, sale: &'a Sale) -> Vec<(&'a str, i64)> {
    let whole = |key: &'a Option<String>| {
        key.as_deref()
            .map(|key| (key, sale.total))
            .into_iter()
            .collect()
    };
    match scope {
        "location" => return whole(&event.location),
        "staff" => return whole(&event.staff),
        _ => {}
    }
    let mut keys: BTreeMap<&str, i64> = BTreeMap::new();
    for line in &sale.lines {
        for key in keys_of_line(scope, line) {
            *keys.entry(key).or_default() += line.net;
        }
    }
    keys.into_iter().collect()
}

/// The keys of one scope that a line has.
fn keys_of_line<'a>(scope: &str, line: &'a Line) -> Vec<&'a str> {
    match scope {
        "category" => line.category.iter().map(String::as_str).collect(),
        "product" => {
            let product = line.product.as_ref().or(line.sku.as_ref());
            product.map(String::as_str).into_iter().collect()
        }
        "collection" => line.collections.iter().map(String::as_str).collect(),
        "tag" => line.tags.iter().map(String::as_str).collect(),
        _ => Vec::new(),
    }
}

fn count_key(group: &mut Group, key: &str, spend: i64, at: Instant) {
    if !group.tallies.contains_key(key) && group.tallies.len() >= limits::FACT_KEYS_MAX {
        group.truncated = true;
        return;
    }
    let moved = Moved {
        at,
        orders: 1,
        spend,
        ..Moved::default()
    };
    match group.tallies.get_mut(key) {
        Some(tally) => add(tally, &moved),
        None => {
            let mut tally = Tally::default();
            add(&mut tally, &moved);
            group.tallies.insert(key.to_owned(), tally);
        }
    }
}

/// What a plugin is given of one scope: what this event touched first, then the most recent.
fn facts_of(scope: &str, group: &Group, event: &Event) -> Vec<Fact> {
    let touched = |tally: &Tally| event.sale().is_some() && tally.last_at == Some(event.at);
    let mut tallies: Vec<(&String, &Tally)> = group.tallies.iter().collect();
    tallies.sort_by_key(|(key, tally)| {
        (
            !touched(tally),
            std::cmp::Reverse(tally.last_at),
            key.as_str().to_owned(),
        )
    });
    // One more than is given, so that the call can tell that there were more.
    tallies
        .into_iter()
        .take(limits::FACTS_MAX + 1)
        .map(|(key, tally)| Fact {
            scope: scope.to_owned(),
            key: key.clone(),
            days: None,
            tally: *tally,
        })
        .collect()
}

fn edit_profile(fold: &mut Fold, event: &Event, change: &ProfileChange) {
    fn put<T: Clone>(field: &mut Option<T>, edit: &Option<Edit<T>>) {
        match edit {
            Some(Edit::Set(value)) => *field = Some(value.clone()),
            Some(Edit::Clear) => *field = None,
            None => {}
        }
    }
    for name in &change.changed {
        if let Some(field) = PersonField::by_name(name) {
            match change.cleared.contains(name) {
                true => fold.known.remove(&field),
                false => fold.known.insert(field),
            };
        }
    }
    put(&mut fold.language, &change.language);
    if change
        .birthday
        .as_ref()
        .is_some_and(|edit| *edit != fold.birthday.map_or(Edit::Clear, Edit::Set))
    {
        fold.birthday_known_since = event.at;
    }
    put(&mut fold.birthday, &change.birthday);
    put(&mut fold.home_location, &change.home_location);
    if let Some(distances) = &change.distances {
        fold.distances = distances.clone();
    }
    if change.replaces.contains(&IdentifierKind::Phone) {
        // Whoever agreed to be called did so for the number that they had.
        for purpose in ["sms", "phone"] {
            fold.consents.remove(purpose);
        }
    }
    for consent in &change.consents {
        choose(fold, consent);
    }
    for (channel, wanted) in &change.marketing {
        match wanted {
            true => fold.unwanted.remove(channel),
            false => fold.unwanted.insert(channel.clone()),
        };
    }
    match change.tax_exempt {
        Some(true) => {
            fold.attributes.insert(TAX_EXEMPT.into(), "true".into());
        }
        Some(false) => {
            fold.attributes.remove(TAX_EXEMPT);
        }
        None => {}
    }
    set_fields(fold, &change.fields);
    if change.enrolled {
        fold.enrolled_at.get_or_insert(event.at);
    }
}

/// Keeps what the customer chose last, by when they did: an import that comes later with an older yes
/// does not undo a no. Of two choices at the same instant the no stands.
fn choose(fold: &mut Fold, consent: &Consent) {
    let known = fold.consents.get(&consent.purpose);
    let stands = known
        .is_some_and(|known| known.at > consent.at || known.at == consent.at && !known.granted);
    if !stands {
        fold.consents
            .insert(consent.purpose.clone(), consent.clone());
    }
}

fn set_fields(fold: &mut Fold, fields: &BTreeMap<String, Edit<String>>) {
    for (key, edit) in fields {
        match edit {
            Edit::Set(value) => fold.attributes.insert(key.clone(), value.clone()),
            Edit::Clear => fold.attributes.remove(key),
        };
    }
}

/// Sets or clears a tag; only what really changes is told. A tag that is set again ends anew: at
/// `until`, or when the registry says.
pub fn set_tag(walk: &mut Walk, step: &mut Step, tag: &str, set: bool, until: Option<Instant>) {
    let fold = &mut walk.fold;
    if !set {
        fold.tag_ends.remove(tag);
        if fold.tags.remove(tag) && !forget(&mut step.so_far.tags_set, tag) {
            step.so_far.tags_cleared.push(tag.to_owned());
        }
        return;
    }
    if fold.tags.len() >= limits::TAGS_MAX && !fold.tags.contains(tag) {
        step.note(format!(
            "tag {tag:?} was not set: {} tags are the limit",
            limits::TAGS_MAX
        ));
        return;
    }
    let registered = walk.with.shop.tags.find(tag);
    let days = registered.and_then(|rule| rule.expires_after_days);
    let by_registry = days.map(|days| Instant(step.event.at.0 + i64::from(days) * DAY_MS));
    match until.or(by_registry) {
        Some(end) => fold.tag_ends.insert(tag.to_owned(), end),
        None => fold.tag_ends.remove(tag),
    };
    if fold.tags.insert(tag.to_owned()) && !forget(&mut step.so_far.tags_cleared, tag) {
        step.so_far.tags_set.push(tag.to_owned());
    }
}

/// Set and cleared again within one event is no change that anybody should hear of.
fn forget(list: &mut Vec<String>, tag: &str) -> bool {
    let length = list.len();
    list.retain(|known| known != tag);
    list.len() < length
}

/// Takes the tags whose time is over.
fn end_tags(walk: &mut Walk, step: &mut Step, now: Instant) {
    let ends = walk.fold.tag_ends.iter();
    let over: Vec<String> = ends
        .filter(|(_, end)| **end <= now)
        .map(|(tag, _)| tag.clone())
        .collect();
    for tag in &over {
        set_tag(walk, step, tag, false, None);
        step.note(format!("the time of tag {tag:?} is over"));
    }
    if !over.is_empty() {
        walk.refresh(step);
    }
}
