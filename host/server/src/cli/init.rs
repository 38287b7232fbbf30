//! `stampcard init`: a new shop that `stampcard serve` runs as it is.

use super::{End, Run, say, say_json};
use crate::config::{Folder, MERCHANT_FILE, PLUGINS, Place, SERVER_FILE};
use crate::http::auth::{Role, hash};
use crate::merchant::open_store;
use crate::{clock, keys, pack};
use clap::Args;
use serde::Serialize;
use stampcard_pipeline::shop::Shop;
use stampcard_store::{KeyRing, Settings};
use std::fs;
use std::path::{Path, PathBuf};

/// Make a new shop in a folder: its files, the starter rules, its database and its first keys.
#[derive(Args)]
#[command(
    after_help = "Example:\n  stampcard init shop --currency EUR --time-zone Europe/Berlin --country DE"
)]
pub struct Init {
    /// The folder; it is made, or it must be empty.
    dir: PathBuf,
    /// The currency of the ledger (ISO 4217). It can never be changed.
    #[arg(long, default_value = "USD")]
    currency: String,
    /// Where the shop's days begin (IANA).
    #[arg(long, default_value = "America/New_York")]
    time_zone: String,
    /// The country that reads local phone numbers (ISO 3166-1 alpha-2).
    #[arg(long, default_value = "US")]
    country: String,
    /// Print one JSON object, with the keys in it.
    #[arg(long)]
    json: bool,
}

#[derive(Debug, thiserror::Error)]
enum InitError {
    #[error("{} is not empty; name a folder that does not exist yet", .0.display())]
    NotEmpty(PathBuf),
    #[error("{} cannot be written: {source}", .path.display())]
    Write {
        path: PathBuf,
        #[source]
        source: std::io::Error,
    },
}

/// What `--json` prints. Scripts lean on it.
#[derive(Serialize)]
struct Made {
    merchant: String,
    dir: PathBuf,
    keys: Keys,
}

#[derive(Serialize)]
struct Keys {
    operator: String,
    pos: String,
    read: String,
}

impl Init {
    pub fn run(self) -> Run {
        crate::log::start_quiet()?;
        let was_there = self.dir.exists();
        must_be_empty(&self.dir)?;
        // Whatever is wrong with what was asked for is told before anything is written.
        Shop::new(toml::from_str(&self.merchant_file())?)?;
        match self.make() {
            Ok(made) => {
                if self.json {
                    say_json(&made)?
                } else {
                    say(next_steps(&self.dir, served(&self.dir), &made))?
                }
                Ok(End::Done)
            }
            Err(error) => {
                clean_up(&self.dir, was_there);
                Err(error)
            }
        }
    }

    fn make(&self) -> Result<Made, Box<dyn std::error::Error>> {
        let folder = Folder::at(&self.dir);
        write(&self.dir.join(MERCHANT_FILE), &self.merchant_file())?;
        write(&self.dir.join(SERVER_FILE), SERVER)?;
        for starter in pack::STARTERS.iter().filter(|it| it.is_of_every_shop) {
            write(
                &self
                    .dir
                    .join(PLUGINS)
                    .join(format!("{}.toml", starter.plugin.name)),
                &starter.file(),
            )?;
        }
        drop(open_store(&folder, &Settings::default())?);
        let mut ring = KeyRing::open(&folder.database())?;
        let mut key = |role: Role| -> Result<String, Box<dyn std::error::Error>> {
            let key = keys::make(role)?;
            ring.add(&hash(&key), role.name(), role.name(), clock::now())?;
            Ok(key)
        };
        Ok(Made {
            keys: Keys {
                operator: key(Role::Operator)?,
                pos: key(Role::Pos)?,
                read: key(Role::Read)?,
            },
            merchant: folder.name(),
            dir: fs::canonicalize(&self.dir)?,
        })
    }

    fn merchant_file(&self) -> String {
        let quoted = |text: &str| toml::Value::String(text.into()).to_string();
        MERCHANT
            .replace("{name}", &quoted(&Folder::at(&self.dir).name()))
            .replace("{currency}", &quoted(&self.currency))
            .replace("{time_zone}", &quoted(&self.time_zone))
            .replace("{country}", &quoted(&self.country))
    }
}

fn must_be_empty(dir: &Path) -> Result<(), InitError> {
    match fs::read_dir(dir) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(()),
        Err(source) => Err(InitError::Write {
            path: dir.into(),
            source,
        }),
        Ok(mut entries) => match entries.next() {
            None => Ok(()),
            Some(_) => Err(InitError::NotEmpty(dir.into())),
        },
    }
}

fn write(path: &Path, text: &str) -> Result<(), InitError> {
    let dir = path.parent().unwrap_or(path);
    let written = fs::create_dir_all(dir).and_then(|()| fs::write(path, text));
    written.map_err(|source| InitError::Write {
        path: path.into(),
        source,
    })
}

/// Half a shop would be in the way of the next try. Everything in the folder is ours: it was empty.
fn clean_up(dir: &Path, was_there: bool) {
    let removed = fs::remove_dir_all(dir).and_then(|()| {
        if was_there {
            fs::create_dir(dir)
        } else {
            Ok(())
        }
    });
    if let Err(error) = removed
        && error.kind() != std::io::ErrorKind::NotFound
    {
        tracing::warn!(dir = %dir.display(), %error, "what was made so far could not be removed");
    }
}

/// What a server is given to open the shop: the folder that it shares with others, or its own.
fn served(dir: &Path) -> &Path {
    let parent = dir.parent().filter(|parent| parent.file_name().is_some());
    let is_shared = |parent: &&Path| match Place::at(parent) {
        Ok(Place::Shops(shops)) => shops.folders().is_ok_and(|all| all.len() > 1),
        _ => false,
    };
    parent.filter(is_shared).unwrap_or(dir)
}

fn next_steps(dir: &Path, served: &Path, made: &Made) -> String {
    let Made { merchant, keys, .. } = made;
    let (dir, served) = (dir.display(), served.display());
    format!(
        "\
{merchant} is ready in {dir}.

Keys, shown this once (the database has only their hashes):
  operator  {operator}
  pos       {pos}
  read      {read}

Next:
  1. Open the shop:            stampcard serve {served}
  2. Send it a sale:           curl http://127.0.0.1:8377/v1/events \\
                                 -H 'Authorization: Bearer {pos}' \\
                                 -H 'Content-Type: application/json' -d @sale.json
  3. Bring in past sales:      stampcard ingest {dir} sales.ndjson
  4. Name your stores:         {dir}/{MERCHANT_FILE}
  5. Say what your rules are:  {dir}/{PLUGINS}/

While the shop is open, saved changes of 4 and 5 are live within a second.",
        operator = keys.operator,
        pos = keys.pos,
        read = keys.read,
    )
}

const SERVER: &str = r#"# The server. Every key may be left out; these are the defaults.

# Where it listens. `stampcard serve --listen` goes above it.
# listen = "127.0.0.1:8377"

# Where a server of several shops answers whoever runs it: /readyz and /metrics of all shops. The port
# after that of `listen`, on this machine alone, where it is not given.
# operations = "127.0.0.1:8378"

# Threads that decide events: as many as the machine has processors, where it is not given, and of
# several shops each its part of them.
# lanes = 2

# Events that wait in each lane before tills are asked to come back (503 with Retry-After).
# queue = 512

# Requests that one key may send in a minute; each event of a batch counts. What is more is told when
# to come again (429 with Retry-After).
# requests_per_minute = 60000

[log]
# "text" for people, "json" for machines.
format = "text"
# error, warn, info, debug or trace. The variable STAMPCARD_LOG goes above it.
level = "info"

# Traces for OpenTelemetry: a span for each request and for each step of the line, without anything
# that is personal. They are sent to a collector beside the server (OTLP over HTTP, without TLS).
# [telemetry]
# otlp = "http://127.0.0.1:4318"
# service = "stampcard"
# One request in so many.
# one_in = 1

# Whose packs are let in: a name of your choosing, and the public key that they gave you (the long line of
# their NAME.pub).
# [trusted_keys]
# "Corner Agency" = "RW…"
"#;

const MERCHANT: &str = r#"# The shop. Saved changes are taken between two events; a mistake leaves the old file live and is
# told in the log and under GET /v1/plugins.

# What people call the shop.
name = {name}

# ISO 4217. Amounts everywhere are in minor units (cents). It never changes: points and amounts of
# a ledger mean nothing in another currency.
currency = {currency}

# IANA. It says when a day, a month and a birthday begin. A location may have its own.
time_zone = {time_zone}

# ISO 3166-1 alpha-2. It reads phone numbers that are written without a country.
country = {country}

# The language of customers who have told none (BCP 47).
language = "en"

# From the lowest to the highest. Which sales lead to which tier is said in
# plugins/starter-tiers.toml.
tiers = ["silver", "gold", "platinum"]

# The order in which plugins of the same role run. Those that are not named run after them, by name.
plugins = ["starter-segments", "starter-points", "starter-tiers", "starter-follow-ups"]

# "watch" takes changed files at once; "apply" waits until the server is started again.
reload = "watch"

# Kinds of events of your own that may plan or cancel follow-ups.
# kinds = { "x.fitting" = "Tried something on in a fitting room." }

# Foreign currencies that tills may send: minor units of yours for a million minor units of theirs.
# rates = { EUR = 1080000 }

# A plugin that fails for so many different customers within so many minutes is not called any more
# ("quarantine"), gives way to its earlier version ("roll-back"), or goes on failing ("nothing"). What
# customers miss is made good when it is mended.
[failures]
customers = 10
minutes = 10
then = "quarantine"

# Where follow-ups go when they are due: each by a signed POST (Standard Webhooks) to one receiver, which
# writes to the customer. Without it they are planned and wait in the outbox.
# [delivery]
# url = "https://mailer.example.com/stampcard"
# Where the secret is (whsec_ and base64): a variable of the server, or a file.
# secret = "env:STAMPCARD_DELIVERY_SECRET"
# How long the receiver may take, how often each is tried, and how long after the first attempt the
# second one is; each wait after that is three times as long, up to eight hours.
# timeout_seconds = 10
# attempts = 12
# retry_seconds = 10
# How many are under way at once.
# at_once = 4
# What is due for longer when its turn comes first is not sent.
# late_hours = 72
# No marketing on these hours of the shop; it waits until the end.
# quiet = { from = "21:00", to = "09:00" }

[policies]
# Whether points see the segments as they are "after" this event or "before" it. With "after", a
# sale that makes a VIP earns what a VIP earns.
points_see_segments = "after"
# What a sale that arrives late may change in the ledger: "correct" both ways, "in-favour" of the
# customer only, or "report" and change nothing.
late = "correct"
# Up to how many days late an event may be and still be put in its place.
late_window_days = 30
# What a sale does whose customer nobody knows: "create" one, or count as a "guest".
unknown_customer = "create"
# When several formulas award points: "add" them up, or take the "best".
awards = "add"
# Tags that are not under [[tags]]: "open" lets staff and rules set them (tills never may),
# "registered" lets nobody.
tags = "open"
# Whether staff may take more points than a customer has.
adjust_below_zero = false
# What a return does that wants more points than are left: "negative" lets the balance fall below
# zero, "debt" leaves it at zero, and the next points that are earned pay for the rest.
returns = "negative"
# Points of a sale that is paid with one of these tenders, such as "card", and of every sale whose
# payment is pending, are provisional: payment.settled makes them final, payment.failed takes them
# back, and after so many hours they are final by themselves.
provisional_tenders = []
provisional_hours = 24
spend_provisional = false
# After so many minutes without a sale an open basket was left: rules are asked as by an event
# checkout.abandoned. 0 leaves that to the web store.
abandoned_after_minutes = 0
# Another sale to the same customer, of the same amount, at the same place and within so many seconds
# is taken and left for somebody to look at (GET /v1/review-items); 0 looks at none.
looks_twice_seconds = 60
# What the key of a till may do that only staff may: "points.adjusted", "credit.adjusted",
# "points.imported", "tier.overridden", "tags.assigned", "customer.merged", "customer.unmerged",
# "merge.declined", "customer.deleted".
pos_may = []
# Two profiles that one event names become one where whoever sends it has seen (`verified`) that what
# names each of them is the customer's, and the e-mail ("exact_email") or the phone ("exact_phone") is
# among it; "off" leaves it to staff.
auto_merge = "off"

# What no rule gets past.
[caps]
# points_per_event = 100000
# One customer's, within a day of the calendar where they buy.
# points_per_day = 5000
# What can be given at one till, and what one person of the shop can give, within such a day.
# points_per_device_day = 50000
# points_per_staff_day = 50000
# In minor units, and in basis points (10000 is all of it).
# discount_amount = 10000
# discount_share = 5000

# How points are redeemed. worth is what they are worth without a reward; points that are set aside
# are free again after hold_minutes, and from approval_from on a second person has to agree.
[redemption]
worth = { points = 1, amount = 1 }
minimum_points = 1
hold_minutes = 30
# approval_from = 5000
approval_hours = 72

# What tills may redeem while they are not connected: they ask for an allowance of at most so many
# points before, and have so many minutes; 0 gives none. Its points stay set aside for sync_hours more,
# so nobody spends them twice. What is redeemed without one, or beyond it, is refused ("refuse"), or taken
# and owed ("debt").
# [redemption.offline]
# points = 500
# minutes = 240
# sync_hours = 72
# beyond = "refuse"
# How customers bring friends: who joins the programme has a code, and this is the link with it. For
# more friends than so many within a day they are given nothing.
# [referral]
# url = "https://shop.example/join?code={code}"
# friends_per_day = 10
# Store credit: money that the shop owes a customer, from returns that are refunded to it and from
# staff, and with which they pay (a tender "store_credit"). With this table every customer is shown
# theirs, and tenders of that kind are taken from it; credit ends after expires_after, or never.
# [store_credit]
# expires_after = { months = 24 }
# receipt = { en = "Store credit {moved}, {left} left", es = "Vale {moved}, quedan {left}" }

# A copy of the shop that stands in for the server while a store has no line (stampcard edge) says so to
# customers, in answers that are older than this.
# [edge]
# stale_after_seconds = 60
# notice = { en = "As of {as_of}. What was bought since then is not counted yet.", es = "Saldo del {as_of}." }

# What customers can have for points: one of amount (minor units), share (basis points) and product
# (a SKU), from a basket of some size, in some channels, so often. A product that is out of stock by
# stock.updated is not given; alternative names what is offered instead.
# [[rewards]]
# key = "5-off"
# name = { en = "$5 off", es = "$5 menos" }
# points = 450
# amount = 500
# minimum_basket = 2500
# channels = ["pos", "online"]
# limit = { times = 1, days = 30 }
# stacks = false

# Who tells of payments and sales by a webhook, at POST /v1/hooks/NAME: a payment that failed, a sale
# that was taken back. format is shopify, square or standard (standardwebhooks.com). secrets are places:
# a variable of the server's (env:NAME) or a file from this folder on (file:PATH). system is what sales
# give as the system of their orders; Square signs its url, too.
# [[hooks]]
# name = "square"
# format = "square"
# secrets = ["file:secrets/square"]
# system = "square"
# url = "https://loyalty.example.com/v1/hooks/square"

# What customers are shown of a tier: its name and benefits, in the languages that they speak, and
# its picture. A benefit may be for some channels only.
# [tier.gold]
# name = { en = "Gold", fr = "Or" }
# badge = "https://cdn.example.com/gold.svg"
# benefits = [{ key = "alterations", text = "Free alterations", channels = ["pos"] }]

# What a customer's profile must have, of given_name, family_name, email, phone, birthday and
# home_location: "lenient" marks it as incomplete, "strict" refuses it.
[profile]
required = []
mode = "lenient"

# Fields of your own. type is text, number, boolean, date or choice; what is personal is kept with
# names and addresses, and no plugin sees it.
# [[profile.fields]]
# key = "boot_size"
# type = "number"
# purpose = "Which boots to bring from the back."
# min = 1
# max = 60

# What each tag means, and which of "rules", "pos" and "staff" may set it. A campaign's tag ends by
# itself.
# [[tags]]
# key = "VIP"
# means = "Greeted by name; spends a lot."
# set_by = ["staff", "pos"]
# synonyms = ["vip", "V.I.P."]
# expires_after_days = 90

# Every store, by the id that its tills send. A sale at a till names one of them.
# [[locations]]
# id = "soho"
# name = "Soho"
# kind = "store"
# country = "US"
# time_zone = "America/New_York"
# Where it is on the map, so that a rule that may see addresses knows how far a customer has to come.
# geo = { lat = 40.7233, lon = -74.003 }
# opened = "2024-05-01"
# What a profile that is made here must have, where it is not what [profile] says.
# required = ["phone"]
"#;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::ServerFile;

    #[test]
    fn the_written_server_file_says_the_defaults() {
        assert_eq!(
            toml::from_str::<ServerFile>(SERVER).unwrap(),
            ServerFile::default()
        );
    }

    #[test]
    fn what_is_commented_out_can_be_taken_in() {
        let taken_in = |text: &str| {
            text.replace("\n# [", "\n[")
                .replace("\n# opened", "\nopened")
        };
        let mut lines = Vec::new();
        for line in taken_in(MERCHANT).lines() {
            let code = line.strip_prefix("# ").filter(|rest| {
                rest.split_once(" = ").is_some_and(|(key, _)| {
                    key.chars()
                        .all(|char| char.is_ascii_lowercase() || char == '_')
                })
            });
            lines.push(code.unwrap_or(line).to_owned());
        }
        let file = lines.join("\n");
        let file = file
            .replace("{name}", "\"A\"")
            .replace("{currency}", "\"USD\"");
        let file = file
            .replace("{time_zone}", "\"UTC\"")
            .replace("{country}", "\"US\"");
        let shop: stampcard_pipeline::shop::ShopFile = toml::from_str(&file).unwrap();
        assert_eq!(shop.locations[0].id, "soho");
        assert_eq!(shop.caps.discount_share, Some(5_000));
        assert_eq!(shop.locations[0].required, Some(vec!["phone".to_owned()]));
        assert_eq!(shop.tier["gold"].benefits[0].key, "alterations");
        assert_eq!(shop.rates["EUR"], 1_080_000);
        assert_eq!(shop.delivery.as_ref().map(|it| it.attempts), Some(12));
        stampcard_pipeline::shop::Shop::new(shop).unwrap();
    }
}
