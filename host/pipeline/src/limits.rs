//! Every limit of the line in one place: its name, its unit and its reason.
//!
//! The limits of one plugin call (fuel, memory, time) are in the runtime, beside the code that
//! enforces them.

/// Nothing in either direction goes beyond this: JavaScript rounds in silence past it.
pub const NUMBER_MAX: i64 = (1 << 53) - 1;

/// An event's JSON, in bytes. A basket of 1,000 lines is about 200 KB.
pub const EVENT_BYTES_MAX: usize = 1 << 20;
/// Lines of one sale. The longest basket in a year of supermarket data has 162.
pub const LINES_MAX: usize = 2_000;
/// Discounts, tenders, collections, tags of one sale or line.
pub const LIST_MAX: usize = 100;
/// Any one text of an event, in bytes.
pub const TEXT_BYTES_MAX: usize = 512;
/// A free note, in bytes.
pub const NOTE_BYTES_MAX: usize = 4_096;
/// Attributes of an event or a sale.
pub const ATTRIBUTES_MAX: usize = 50;
/// A tag, in characters; some platforms stop at 40, and this is the longest that any of them takes.
pub const TAG_CHARS_MAX: usize = 255;
/// Tags of one customer.
pub const TAGS_MAX: usize = 250;
/// Identifiers of one event.
pub const IDENTIFIERS_MAX: usize = 10;

/// An event this far ahead of the wall clock moves no timer, in milliseconds: tills' clocks drift.
pub const AHEAD_MS_MAX: i64 = 5 * 60 * 1_000;
/// How long a till may redeem by an allowance, in minutes: a week without a connection is a till that
/// nobody mends.
pub const OFFLINE_MINUTES_MAX: u32 = 7 * 24 * 60;
/// How long the points of an allowance stay set aside for a till that comes back, in hours.
pub const SYNC_HOURS_MAX: u32 = 30 * 24;
/// An event further ahead than this is refused, in milliseconds: it is a wrong date, not a drift.
pub const AHEAD_MS_REFUSED: i64 = 24 * 60 * 60 * 1_000;

/// Facts given to one plugin.
pub const FACTS_MAX: usize = 64;
/// Keys that the host keeps for one customer and scope. Beyond it new keys are not kept, and
/// `facts_truncated` says so: the largest customer costs no more than the others.
pub const FACT_KEYS_MAX: usize = 256;
/// What a plugin may remember about one customer, in bytes.
pub const STATE_BYTES_MAX: usize = 4_096;
/// Actions (memberships, tags, awards, follow-ups, prompts, receipt lines) of one answer.
pub const ACTIONS_MAX: usize = 256;
/// A sentence of a plugin (reason, note), in bytes.
pub const REASON_BYTES_MAX: usize = 512;
/// A receipt line, in characters: what a till prints.
pub const RECEIPT_CHARS_MAX: usize = 80;
/// A prompt for the till, in characters.
pub const PROMPT_CHARS_MAX: usize = 200;
/// Prompts that one answer shows: what a person at a till reads while somebody waits.
pub const PROMPTS_MAX: usize = 3;
/// How long a token that a customer's phone shows is good, in milliseconds: time to queue for the
/// till with it, and not to send it to a friend.
pub const TOKEN_LIFETIME_MS: i64 = 5 * 60 * 1_000;
/// Products of one event: 200 bytes each are well within one, and a commit of a thousand rows keeps
/// no till waiting. A larger catalogue comes in several.
pub const PRODUCTS_MAX: usize = 1_000;
/// Addresses of one customer.
/// What a browser calls itself, in bytes at least: 8 letters of a cookie are 10^12 browsers.
pub const VISITOR_BYTES_MIN: usize = 8;
/// How long what a visitor did waits for them to say who they are, in days. Then nobody can tell any more
/// whose it was. It is what cookie notices promise.
pub const VISITOR_DAYS: i64 = 30;
/// The most of it that one customer is given when they say who they are, the newest: an afternoon of
/// looking around.
pub const VISITS_MAX: u32 = 500;
pub const ADDRESSES_MAX: usize = 20;
/// The largest extra that one `bonus-share` may ask for, in basis points: 100 times the base.
pub const BONUS_SHARE_MAX: u32 = 1_000_000;

/// Reviews of one customer that one plugin may ask for in a day (UTC); beyond it is at fault.
pub const REVIEWS_A_DAY_MAX: u32 = 24;
/// What a plugin may keep with a sale for its return, in bytes.
pub const KEPT_BYTES_MAX: usize = 256;
/// Offers of one customer that plugins are shown and the host remembers.
pub const OFFERS_MAX: usize = 32;
/// Largest sales of one customer that the host keeps apart: so many of them can be returned, and the
/// next one is still known.
pub const LARGEST_SALES: usize = 4;
/// The farthest that a `moment` may lie ahead, in its own unit: 100 years are a mistake.
pub const MOMENT_DAYS_MAX: u32 = 36_525;

/// The fold leaves a checkpoint after this many events of a customer: a refold decides at most
/// this many events again before the one that came late.
pub const CHECKPOINT_EVENTS: u32 = 16;

/// Codes of sales that are remembered because what they are for may have been set aside by a clock that
/// is ahead.
pub const EARLY_CODES_MAX: usize = 4;
/// Redemptions that one customer may have open at once.
pub const REDEMPTIONS_OPEN_MAX: usize = 16;
/// How often a customer may have a reward whose number is limited, at most: so many are remembered.
pub const REWARD_TIMES_MAX: u32 = 100;
