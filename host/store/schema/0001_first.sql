-- The first schema. Every column says why it is there.
--
-- Four kinds of tables, and it matters which one a table is:
--   what happened      journal, entries, allocations, rule_books, conflicts: only ever added to
--   what we make of it customers, history, checkpoints, lots, memberships, tiers, outbox: the fold
--                      and its ledger view; `stampcard check` recomputes them
--   how we decided     explanations, plugin_versions, artifacts
--   who they are       identifiers, people, names, said: all personal data, and nothing else has any
--
-- Instants are milliseconds since 1970 in UTC, money is minor units of the shop's currency, points
-- are points. Columns named `body`, `outcome`, `fold` and `head` are packed (see codec.rs).

-- One row: what belongs to the file as a whole. Its format is SQLite's own user_version.
CREATE TABLE meta (
    only       INTEGER PRIMARY KEY CHECK (only = 1),
    -- Keys the hashes of bodies and the names of new customers; it never leaves the file.
    secret     BLOB NOT NULL CHECK (length(secret) = 32),
    -- For people who wonder how old this file is.
    created_at INTEGER NOT NULL
) STRICT;

-- ------------------------------------------------------------------------------------------------
-- How we decided
-- ------------------------------------------------------------------------------------------------

-- A plugin as it was when it decided: what entries and memberships point to.
CREATE TABLE plugin_versions (
    id            INTEGER PRIMARY KEY,
    name          TEXT NOT NULL,
    version       TEXT NOT NULL,
    -- sha256 of the component: the same bytes decide the same.
    digest        TEXT NOT NULL,
    -- sha256 of the canonical configuration: the same plugin configured otherwise decides otherwise.
    configuration TEXT NOT NULL,
    UNIQUE (name, version, digest, configuration)
) STRICT;

-- Everything that was live at once. A revision never changes; a new one takes its place.
CREATE TABLE rule_books (
    -- Counts from 1 without gaps.
    number     INTEGER PRIMARY KEY,
    -- When it went live.
    created_at INTEGER NOT NULL,
    -- JSON: the plugins in their order, as recorded calls index them.
    plugins    TEXT NOT NULL,
    -- JSON: the rule parts of merchant.toml.
    shop       TEXT NOT NULL
) STRICT;

CREATE TRIGGER rule_books_never_change BEFORE UPDATE ON rule_books
BEGIN SELECT RAISE(ABORT, 'rule books are append-only'); END;
CREATE TRIGGER rule_books_never_go BEFORE DELETE ON rule_books
BEGIN SELECT RAISE(ABORT, 'rule books are append-only'); END;

-- The same plugins, so that SQL can follow an index in a rule book to a plugin's version.
CREATE TABLE rule_book_plugins (
    rule_book      INTEGER NOT NULL REFERENCES rule_books,
    -- The index in the rule book, from 0.
    position       INTEGER NOT NULL,
    plugin_version INTEGER NOT NULL REFERENCES plugin_versions,
    PRIMARY KEY (rule_book, position)
) STRICT, WITHOUT ROWID;

-- Component bytes and configuration texts, so that a recorded decision can be run again.
CREATE TABLE artifacts (
    -- sha256:… of the bytes.
    digest TEXT PRIMARY KEY,
    kind   TEXT NOT NULL CHECK (kind IN ('component', 'configuration', 'manifest')),
    body   BLOB NOT NULL
) STRICT, WITHOUT ROWID;

-- ------------------------------------------------------------------------------------------------
-- The customers: first, because nearly everything points to them
-- ------------------------------------------------------------------------------------------------

CREATE TABLE customers (
    -- Ours alone: short, so that the rows that point here are short.
    id         INTEGER PRIMARY KEY,
    -- The opaque name that others know.
    public     TEXT NOT NULL UNIQUE,
    -- Rises with each change; a commit that expected another one decides again.
    revision   INTEGER NOT NULL,
    -- The first event's time: an export as of a day before leaves the customer out.
    created_at INTEGER NOT NULL,
    -- How far the timers were driven, readable even where the head is not.
    clock      INTEGER NOT NULL,
    -- When something is due by itself. The clock looks here for silent customers.
    next_due   INTEGER,
    -- The sum of the ledger entries, so that a sale need not add them up.
    balance    INTEGER NOT NULL,
    -- The tier held, to find customers by it.
    tier       TEXT,
    -- The fold after the last event.
    head       BLOB NOT NULL
) STRICT;

CREATE INDEX customers_by_due ON customers (next_due) WHERE next_due IS NOT NULL;
CREATE INDEX customers_by_tier ON customers (tier, id) WHERE tier IS NOT NULL;

-- The tags of each head, to find customers by them.
CREATE TABLE customer_tags (
    tag      TEXT NOT NULL,
    customer INTEGER NOT NULL REFERENCES customers,
    PRIMARY KEY (tag, customer)
) STRICT, WITHOUT ROWID;

-- ------------------------------------------------------------------------------------------------
-- What happened
-- ------------------------------------------------------------------------------------------------

-- Events and answers in the order of arrival, and what else changed the shop. Never rewritten.
CREATE TABLE journal (
    -- The order of arrival, without gaps.
    seq         INTEGER PRIMARY KEY,
    -- The event's name for ever, given by the system that sent it.
    source      TEXT NOT NULL,
    id          TEXT NOT NULL,
    -- Its kind in the catalogue, or rule-book.changed.
    kind        TEXT NOT NULL,
    -- When it happened, as the sender says: what decisions go by.
    occurred_at INTEGER NOT NULL,
    -- When it reached us: for people, and for nothing else.
    received_at INTEGER NOT NULL,
    -- Whose it was on arrival; nobody's for guest sales, head counts and rule books.
    customer    INTEGER REFERENCES customers,
    -- The rule book that decided it; its calls index into that book.
    rule_book   INTEGER REFERENCES rule_books,
    -- Keyed hash of the canonical body: the same event sent again is a duplicate, not a conflict.
    sameness    BLOB NOT NULL,
    -- What became of it: applied, guest, parked.
    status      TEXT NOT NULL,
    -- The ledger entries that it wrote: the first one's number, and how many. The answer holds them
    -- relative to the first, so that it can be encoded before the numbers are given out.
    first_entry INTEGER,
    entries     INTEGER NOT NULL,
    -- The event without anything personal (packed JSON); for a rule book its number.
    body        BLOB NOT NULL,
    -- The answer to the till (packed JSON): the same event sent again gets it again.
    outcome     BLOB NOT NULL,
    UNIQUE (source, id)
) STRICT;

CREATE TRIGGER journal_never_changes BEFORE UPDATE ON journal
BEGIN SELECT RAISE(ABORT, 'the journal is append-only'); END;
CREATE TRIGGER journal_never_shrinks BEFORE DELETE ON journal
BEGIN SELECT RAISE(ABORT, 'the journal is append-only'); END;

-- Events that came under a known name with another body. They were refused; somebody may want to
-- see why. The oldest go when there are too many.
CREATE TABLE conflicts (
    number      INTEGER PRIMARY KEY AUTOINCREMENT,
    -- The event that stands.
    journal     INTEGER NOT NULL REFERENCES journal,
    -- The one that was refused, as often as it came in the same form only once.
    sameness    BLOB NOT NULL,
    received_at INTEGER NOT NULL,
    body        BLOB NOT NULL,
    UNIQUE (journal, sameness)
) STRICT;

-- Business keys: an order is taken once, through whichever door it comes first.
CREATE TABLE orders (
    system  TEXT NOT NULL,
    id      TEXT NOT NULL,
    -- The event that took it.
    journal INTEGER NOT NULL REFERENCES journal,
    PRIMARY KEY (system, id)
) STRICT, WITHOUT ROWID;

-- Guest sales that were claimed: each once.
CREATE TABLE claims (
    -- The guest sale.
    guest    INTEGER PRIMARY KEY REFERENCES journal,
    customer INTEGER NOT NULL REFERENCES customers,
    -- The event that claimed it.
    journal  INTEGER NOT NULL REFERENCES journal
) STRICT;

-- ------------------------------------------------------------------------------------------------
-- The fold: can be built again from the journal
-- ------------------------------------------------------------------------------------------------

-- One customer's events in the order of the fold, whatever the order of arrival, with what each
-- moved: the windows give these rows back when they end, and exports as of a day add them up.
CREATE TABLE history (
    customer INTEGER NOT NULL REFERENCES customers,
    -- The event's position: time, then source and id where times are equal.
    at       INTEGER NOT NULL,
    source   TEXT NOT NULL,
    id       TEXT NOT NULL,
    -- The event itself.
    journal  INTEGER NOT NULL REFERENCES journal,
    -- 0 pos, 1 online, 2 phone, 3 other; NULL for an event without a channel.
    channel  INTEGER,
    orders   INTEGER NOT NULL,
    spend    INTEGER NOT NULL,
    returns  INTEGER NOT NULL,
    returned INTEGER NOT NULL,
    earned   INTEGER NOT NULL,
    PRIMARY KEY (customer, at, source, id)
) STRICT, WITHOUT ROWID;

-- The fold as it was after some event, so that a late event need not start from the beginning.
CREATE TABLE checkpoints (
    number   INTEGER PRIMARY KEY,
    customer INTEGER NOT NULL REFERENCES customers,
    -- The last event that is in it.
    at       INTEGER NOT NULL,
    source   TEXT NOT NULL,
    id       TEXT NOT NULL,
    fold     BLOB NOT NULL,
    UNIQUE (customer, at, source, id)
) STRICT;

-- Every membership there was. One that was prolonged is one row.
CREATE TABLE memberships (
    customer    INTEGER NOT NULL REFERENCES customers,
    -- Counts the customer's changes along the fold: a refold takes back what is numbered after
    -- its start.
    number      INTEGER NOT NULL,
    segment     TEXT NOT NULL,
    since       INTEGER NOT NULL,
    -- When it ends by itself, as far as is known.
    until       INTEGER,
    reason      TEXT NOT NULL,
    plugin      INTEGER NOT NULL REFERENCES plugin_versions,
    -- When, with which number, why and by whom it ended; all NULL while it goes on. Nobody decided
    -- an end that came by itself, so `left_plugin` may stay NULL.
    left_at     INTEGER,
    left_number INTEGER,
    left_reason TEXT,
    left_plugin INTEGER REFERENCES plugin_versions,
    PRIMARY KEY (customer, number)
) STRICT, WITHOUT ROWID;

-- Who is in a segment, and since when.
CREATE INDEX memberships_by_segment ON memberships (segment, left_at, customer, since);

-- Every change of tier.
CREATE TABLE tiers (
    customer   INTEGER NOT NULL REFERENCES customers,
    -- As in memberships.
    number     INTEGER NOT NULL,
    -- NULL is no tier.
    from_tier  TEXT,
    to_tier    TEXT,
    since      INTEGER NOT NULL,
    keep_until INTEGER,
    reason     TEXT NOT NULL,
    plugin     INTEGER NOT NULL REFERENCES plugin_versions,
    PRIMARY KEY (customer, number)
) STRICT, WITHOUT ROWID;

-- Planned follow-ups. What leaves the host leaves from here.
CREATE TABLE outbox (
    id             INTEGER PRIMARY KEY,
    customer       INTEGER NOT NULL REFERENCES customers,
    -- The plugin's name, not its version: an upgrade must not send again.
    plugin         TEXT NOT NULL,
    -- The same occasion is written to once, in the plugin's own words.
    dedupe_key     TEXT NOT NULL,
    -- As in memberships.
    number         INTEGER NOT NULL,
    plugin_version INTEGER NOT NULL REFERENCES plugin_versions,
    channel        TEXT NOT NULL,
    template       TEXT NOT NULL,
    -- When the step that planned it happened, when it is to be sent, and when it is too late.
    planned_at     INTEGER NOT NULL,
    due            INTEGER NOT NULL,
    expires_at     INTEGER,
    -- JSON object: what the template is filled with.
    data           TEXT NOT NULL,
    -- JSON list: the kinds of events that cancel it while it waits.
    cancelled_by   TEXT NOT NULL,
    -- What it is for, and so what the customer must have agreed to.
    purpose        TEXT NOT NULL,
    -- JSON: the discount that it carries.
    offer          TEXT,
    reason         TEXT NOT NULL,
    -- planned, cancelled, suppressed (the consent is missing), or withdrawn: a refold did not plan
    -- it again.
    state          TEXT NOT NULL,
    -- The event that it was planned for.
    journal        INTEGER NOT NULL REFERENCES journal,
    -- The event that brought it into a state other than planned.
    ended_by       INTEGER REFERENCES journal,
    UNIQUE (customer, plugin, dedupe_key)
) STRICT;

CREATE INDEX outbox_by_due ON outbox (due, id) WHERE state = 'planned';

-- ------------------------------------------------------------------------------------------------
-- The ledger
-- ------------------------------------------------------------------------------------------------

-- Points that were earned together: they become available, expire and are taken back together.
-- The columns from `at` to `ordinal` are what makes two awards the same when a step is decided
-- again.
CREATE TABLE lots (
    id             INTEGER PRIMARY KEY,
    customer       INTEGER NOT NULL REFERENCES customers,
    -- The step that earned it; a review has an empty source and id.
    at             INTEGER NOT NULL,
    source         TEXT NOT NULL,
    event          TEXT NOT NULL,
    -- The plugin's name: a lot outlives the version that made it.
    plugin         TEXT NOT NULL,
    kind           TEXT NOT NULL CHECK (kind IN ('base', 'bonus')),
    reason         TEXT NOT NULL,
    -- JSON: the lines that the award is for, or all of them.
    covers         TEXT NOT NULL,
    -- When it can be spent, and until when.
    available_from INTEGER,
    expires_at     INTEGER,
    -- What a return takes back: proportional, keep, or whole-below:AMOUNT.
    on_return      TEXT NOT NULL,
    -- Counts awards that are alike in everything else.
    ordinal        INTEGER NOT NULL,
    -- The sum of its entries.
    earned         INTEGER NOT NULL,
    -- `earned` less what allocations took.
    remaining      INTEGER NOT NULL,
    -- JSON list of [line, points]: the award apportioned to its lines, for returns.
    shares         TEXT NOT NULL,
    plugin_version INTEGER NOT NULL REFERENCES plugin_versions,
    -- The event that it is for.
    journal        INTEGER NOT NULL REFERENCES journal
) STRICT;

CREATE INDEX lots_by_step ON lots (customer, at, source, event);

-- The ledger. Nothing updates or deletes an entry; what changes is a later entry.
CREATE TABLE entries (
    -- Without gaps, over all customers of the merchant.
    number         INTEGER PRIMARY KEY,
    customer       INTEGER NOT NULL REFERENCES customers,
    -- The lot that it adds to or corrects; NULL for a debit, which allocations spread over lots.
    lot            INTEGER REFERENCES lots,
    -- base, bonus, correction.
    kind           TEXT NOT NULL,
    amount         INTEGER NOT NULL,
    -- The customer's balance with this entry.
    balance_after  INTEGER NOT NULL,
    reason         TEXT NOT NULL,
    plugin_version INTEGER NOT NULL REFERENCES plugin_versions,
    -- The event that it is for.
    journal        INTEGER NOT NULL REFERENCES journal,
    -- The event that caused it: another one where a late event corrects.
    caused_by      INTEGER NOT NULL REFERENCES journal,
    -- From the event that it is for, so that the ledger can be added up by day and by place.
    occurred_at    INTEGER NOT NULL,
    channel        INTEGER,
    location       TEXT,
    device         TEXT
) STRICT;

CREATE INDEX entries_by_customer ON entries (customer, number);

CREATE TRIGGER entries_never_change BEFORE UPDATE ON entries
BEGIN SELECT RAISE(ABORT, 'the ledger is append-only'); END;
CREATE TRIGGER entries_never_go BEFORE DELETE ON entries
BEGIN SELECT RAISE(ABORT, 'the ledger is append-only'); END;

-- Which lots a debit took from, so that an expiry never takes what was already spent.
CREATE TABLE allocations (
    entry  INTEGER NOT NULL REFERENCES entries,
    lot    INTEGER NOT NULL REFERENCES lots,
    -- Points taken, above zero.
    amount INTEGER NOT NULL CHECK (amount > 0),
    PRIMARY KEY (entry, lot)
) STRICT, WITHOUT ROWID;

CREATE INDEX allocations_by_lot ON allocations (lot);

CREATE TRIGGER allocations_never_change BEFORE UPDATE ON allocations
BEGIN SELECT RAISE(ABORT, 'allocations are append-only'); END;
CREATE TRIGGER allocations_never_go BEFORE DELETE ON allocations
BEGIN SELECT RAISE(ABORT, 'allocations are append-only'); END;

-- Why each step came out as it did. A step that is decided again gets a further row, and the last
-- one stands. Kept as long as the ledger.
CREATE TABLE explanations (
    number    INTEGER PRIMARY KEY,
    customer  INTEGER NOT NULL REFERENCES customers,
    -- The step; a review has an empty source and id.
    at        INTEGER NOT NULL,
    source    TEXT NOT NULL,
    id        TEXT NOT NULL,
    -- The event of the step; NULL for a review.
    journal   INTEGER REFERENCES journal,
    -- The event on whose arrival it was decided; NULL for a review that the journal does not hold.
    caused_by INTEGER REFERENCES journal,
    -- The book that its calls index into.
    rule_book INTEGER NOT NULL REFERENCES rule_books,
    -- Calls with their inputs and answers, and the notes.
    body      BLOB NOT NULL
) STRICT;

CREATE INDEX explanations_by_step ON explanations (customer, at, source, id);

-- What somebody should look at.
CREATE TABLE review_items (
    id          INTEGER PRIMARY KEY,
    customer    INTEGER REFERENCES customers,
    journal     INTEGER REFERENCES journal,
    kind        TEXT NOT NULL,
    -- JSON, by kind.
    body        TEXT NOT NULL,
    occurred_at INTEGER NOT NULL,
    -- NULL while it waits for somebody.
    resolved_at INTEGER
) STRICT;

CREATE INDEX review_items_open ON review_items (id) WHERE resolved_at IS NULL;

-- ------------------------------------------------------------------------------------------------
-- Who they are: personal data, here and nowhere else. Erasing a person is deleting here.
-- ------------------------------------------------------------------------------------------------

-- Who is meant by an e-mail, a phone number, a card, an account elsewhere.
CREATE TABLE identifiers (
    kind     TEXT NOT NULL CHECK (kind IN ('email', 'phone', 'card', 'external')),
    -- In its normal form.
    value    TEXT NOT NULL,
    customer INTEGER NOT NULL REFERENCES customers,
    PRIMARY KEY (kind, value)
) STRICT, WITHOUT ROWID;

CREATE INDEX identifiers_by_customer ON identifiers (customer);

-- The profile's personal fields as they are now.
CREATE TABLE people (
    customer INTEGER NOT NULL REFERENCES customers,
    field    TEXT NOT NULL,
    value    TEXT NOT NULL,
    PRIMARY KEY (customer, field)
) STRICT, WITHOUT ROWID;

-- The words of names in lower case, to find people as somebody types.
CREATE TABLE names (
    word     TEXT NOT NULL,
    customer INTEGER NOT NULL REFERENCES customers,
    PRIMARY KEY (word, customer)
) STRICT, WITHOUT ROWID;

CREATE INDEX names_by_customer ON names (customer);

-- What one event said about a person: identifiers, how they were written, fields, a note. A replay
-- needs it to find the same customers, and taking a merge back needs to know which event carried
-- which identifier.
CREATE TABLE said (
    journal INTEGER PRIMARY KEY REFERENCES journal,
    -- JSON.
    body    TEXT NOT NULL
) STRICT;

-- ------------------------------------------------------------------------------------------------
-- Who may call us
-- ------------------------------------------------------------------------------------------------

CREATE TABLE api_keys (
    id         INTEGER PRIMARY KEY,
    -- The key itself is printed once and kept nowhere.
    hash       BLOB NOT NULL UNIQUE,
    role       TEXT NOT NULL,
    -- What people call it.
    label      TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    -- NULL while it works.
    revoked_at INTEGER
) STRICT;
