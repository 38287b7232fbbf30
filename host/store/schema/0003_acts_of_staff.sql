-- Acts of staff, and what they do to identifiers.

-- When the customer got another one in its place. An old e-mail or phone still names them, for what
-- happened before; an old card is refused. NULL for what they go by.
ALTER TABLE identifiers ADD COLUMN retired_at INTEGER;

-- Until now a plugin decided every entry, lot and change of tier; now a person may
-- have. Such a row has no plugin and says who did it instead. SQLite cannot loosen a column, so the
-- three tables are written anew with all that is in them; what points to them comes along.

CREATE TABLE lots_2 (
    id             INTEGER PRIMARY KEY,
    customer       INTEGER NOT NULL REFERENCES customers,
    -- The step that earned it; a review has an empty source and id.
    at             INTEGER NOT NULL,
    source         TEXT NOT NULL,
    event          TEXT NOT NULL,
    -- The plugin's name: a lot outlives the version that made it. Empty where staff gave the points.
    plugin         TEXT NOT NULL,
    kind           TEXT NOT NULL CHECK (kind IN ('base', 'bonus', 'adjustment')),
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
    -- NULL where staff gave the points.
    plugin_version INTEGER REFERENCES plugin_versions,
    -- The event that it is for.
    journal        INTEGER NOT NULL REFERENCES journal
) STRICT;

CREATE TABLE entries_2 (
    -- Without gaps, over all customers of the merchant.
    number         INTEGER PRIMARY KEY,
    customer       INTEGER NOT NULL REFERENCES customers,
    -- The lot that it adds to or corrects; NULL for a debit, which allocations spread over lots.
    lot            INTEGER REFERENCES lots_2,
    -- base, bonus, correction, adjustment.
    kind           TEXT NOT NULL,
    amount         INTEGER NOT NULL,
    -- The customer's balance with this entry.
    balance_after  INTEGER NOT NULL,
    reason         TEXT NOT NULL,
    -- Who decided: a plugin, or a person as the event calls them.
    plugin_version INTEGER REFERENCES plugin_versions,
    actor          TEXT,
    -- The event that it is for.
    journal        INTEGER NOT NULL REFERENCES journal,
    -- The event that caused it: another one where a late event corrects.
    caused_by      INTEGER NOT NULL REFERENCES journal,
    -- From the event that it is for, so that the ledger can be added up by day and by place.
    occurred_at    INTEGER NOT NULL,
    channel        INTEGER,
    location       TEXT,
    device         TEXT,
    CHECK ((plugin_version IS NULL) <> (actor IS NULL))
) STRICT;

CREATE TABLE allocations_2 (
    entry  INTEGER NOT NULL REFERENCES entries_2,
    lot    INTEGER NOT NULL REFERENCES lots_2,
    -- Points taken, above zero.
    amount INTEGER NOT NULL CHECK (amount > 0),
    PRIMARY KEY (entry, lot)
) STRICT, WITHOUT ROWID;

CREATE TABLE tiers_2 (
    customer   INTEGER NOT NULL REFERENCES customers,
    -- As in memberships.
    number     INTEGER NOT NULL,
    -- NULL is no tier.
    from_tier  TEXT,
    to_tier    TEXT,
    since      INTEGER NOT NULL,
    keep_until INTEGER,
    reason     TEXT NOT NULL,
    -- Who decided: a plugin, or a person as the event calls them.
    plugin     INTEGER REFERENCES plugin_versions,
    actor      TEXT,
    PRIMARY KEY (customer, number),
    CHECK ((plugin IS NULL) <> (actor IS NULL))
) STRICT, WITHOUT ROWID;

INSERT INTO lots_2 SELECT * FROM lots;
INSERT INTO entries_2
    SELECT number, customer, lot, kind, amount, balance_after, reason, plugin_version, NULL, journal, caused_by,
           occurred_at, channel, location, device
    FROM entries;
INSERT INTO allocations_2 SELECT * FROM allocations;
INSERT INTO tiers_2 SELECT customer, number, from_tier, to_tier, since, keep_until, reason, plugin, NULL FROM tiers;

DROP TABLE allocations;
DROP TABLE entries;
DROP TABLE lots;
DROP TABLE tiers;
ALTER TABLE lots_2 RENAME TO lots;
ALTER TABLE entries_2 RENAME TO entries;
ALTER TABLE allocations_2 RENAME TO allocations;
ALTER TABLE tiers_2 RENAME TO tiers;

CREATE INDEX lots_by_step ON lots (customer, at, source, event);
CREATE INDEX entries_by_customer ON entries (customer, number);
CREATE INDEX allocations_by_lot ON allocations (lot);

CREATE TRIGGER entries_never_change BEFORE UPDATE ON entries
BEGIN SELECT RAISE(ABORT, 'the ledger is append-only'); END;
CREATE TRIGGER entries_never_go BEFORE DELETE ON entries
BEGIN SELECT RAISE(ABORT, 'the ledger is append-only'); END;
CREATE TRIGGER allocations_never_change BEFORE UPDATE ON allocations
BEGIN SELECT RAISE(ABORT, 'allocations are append-only'); END;
CREATE TRIGGER allocations_never_go BEFORE DELETE ON allocations
BEGIN SELECT RAISE(ABORT, 'allocations are append-only'); END;
