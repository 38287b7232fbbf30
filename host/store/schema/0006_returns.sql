-- Points that are taken: by staff, by a return, by their end. Which lots they come from follows the
-- order in which things happened, so it belongs to the fold: a step that is decided again takes again.

-- Points that a step takes for one reason, from one lot or from all that there are. The columns from
-- `at` to `lot` are what makes two takings the same when a step is decided again.
CREATE TABLE takings (
    id       INTEGER PRIMARY KEY,
    customer INTEGER NOT NULL REFERENCES customers,
    -- The step; a review has an empty source and id.
    at       INTEGER NOT NULL,
    source   TEXT NOT NULL,
    event    TEXT NOT NULL,
    -- adjustment (staff took them), reversal (what they were given for came back), expiry (they were
    -- not used in time), recovery (they pay for what a return could not take).
    kind     TEXT NOT NULL,
    -- The lot that is taken back; NULL where any will do.
    lot      INTEGER REFERENCES lots,
    -- The sum of its entries, as a number of points above zero; 0 if another order of arrival would
    -- not have taken anything.
    points   INTEGER NOT NULL,
    -- What should have been taken and was not there.
    debt     INTEGER NOT NULL,
    reason   TEXT NOT NULL,
    -- The event that it is for.
    journal  INTEGER NOT NULL REFERENCES journal
) STRICT;

CREATE INDEX takings_by_step ON takings (customer, at, source, event);
CREATE INDEX takings_by_lot ON takings (lot) WHERE lot IS NOT NULL;

-- What an entry takes; NULL for points that are given.
ALTER TABLE entries ADD COLUMN taking INTEGER REFERENCES takings;

-- Until now only staff took points.
INSERT INTO takings
    SELECT e.number, e.customer, e.occurred_at, j.source, j.id, 'adjustment', NULL, -e.amount, 0, e.reason, e.journal
    FROM entries e JOIN journal j ON j.seq = e.journal WHERE e.lot IS NULL;

DROP TRIGGER entries_never_change;
UPDATE entries SET taking = number WHERE lot IS NULL;
CREATE TRIGGER entries_never_change BEFORE UPDATE ON entries
BEGIN SELECT RAISE(ABORT, 'the ledger is append-only'); END;

-- Points of a lot that pay for a taking.
CREATE TABLE allocations_2 (
    customer INTEGER NOT NULL REFERENCES customers,
    -- The step at which they did: the taking's own, or a later one for what was owed.
    at       INTEGER NOT NULL,
    source   TEXT NOT NULL,
    event    TEXT NOT NULL,
    taking   INTEGER NOT NULL REFERENCES takings,
    lot      INTEGER NOT NULL REFERENCES lots,
    amount   INTEGER NOT NULL CHECK (amount > 0),
    PRIMARY KEY (customer, at, source, event, taking, lot)
) STRICT, WITHOUT ROWID;

INSERT INTO allocations_2
    SELECT t.customer, t.at, t.source, t.event, t.id, a.lot, a.amount FROM allocations a JOIN takings t ON t.id = a.entry;
DROP TABLE allocations;
ALTER TABLE allocations_2 RENAME TO allocations;
CREATE INDEX allocations_by_lot ON allocations (lot);
CREATE INDEX allocations_by_taking ON allocations (taking);

-- What a plugin asked to be given back when a sale is returned.
CREATE TABLE kept (
    customer INTEGER NOT NULL REFERENCES customers,
    -- The sale.
    at       INTEGER NOT NULL,
    source   TEXT NOT NULL,
    event    TEXT NOT NULL,
    -- The plugin's name: the version that is asked then may be another one.
    plugin   TEXT NOT NULL,
    bytes    BLOB NOT NULL,
    PRIMARY KEY (customer, at, source, event, plugin)
) STRICT, WITHOUT ROWID;

-- Sales whose payment was not certain when they were told.
CREATE TABLE provisional (
    customer INTEGER NOT NULL REFERENCES customers,
    -- The sale.
    at       INTEGER NOT NULL,
    source   TEXT NOT NULL,
    event    TEXT NOT NULL,
    -- When its points are final if nobody says otherwise.
    until    INTEGER NOT NULL,
    -- The step at which it was settled, and how: paid, in-time, failed. All NULL before.
    settled_at     INTEGER,
    settled_source TEXT,
    settled_event  TEXT,
    how            TEXT,
    PRIMARY KEY (customer, at, source, event)
) STRICT, WITHOUT ROWID;

-- Events about a sale that has not come, or that is nobody's yet. They are decided when it is.
CREATE TABLE waiting (
    journal INTEGER PRIMARY KEY REFERENCES journal,
    -- The sale, as they call it: by its event or by its order.
    source  TEXT,
    event   TEXT,
    system  TEXT,
    "order" TEXT,
    -- The event that brought the sale to somebody; NULL while they wait.
    joined  INTEGER REFERENCES journal
) STRICT;

CREATE INDEX waiting_by_event ON waiting (source, event) WHERE joined IS NULL AND source IS NOT NULL;
CREATE INDEX waiting_by_order ON waiting (system, "order") WHERE joined IS NULL AND system IS NOT NULL;
