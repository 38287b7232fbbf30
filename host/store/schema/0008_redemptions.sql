-- Points that customers give for something: set aside first, then gone, or free again.

-- Redemptions as they stand. What happened to each is in the journal; what each took is a taking.
CREATE TABLE redemptions (
    -- red_…, made from the name of the event that began it.
    id            TEXT NOT NULL PRIMARY KEY,
    customer      INTEGER NOT NULL REFERENCES customers,
    -- What the customer shows. It works once, so no two redemptions ever have the same.
    code          TEXT NOT NULL UNIQUE,
    -- pending-approval, reserved, confirmed, cancelled, denied, timed-out.
    state         TEXT NOT NULL,
    points        INTEGER NOT NULL CHECK (points > 0),
    -- The key of the reward; NULL for points at their general worth.
    reward        TEXT,
    -- What it is worth, as JSON: an amount, a share of the basket, a product.
    worth         TEXT NOT NULL,
    -- The least total of a basket with which it is given.
    minimum       INTEGER NOT NULL,
    reserved_at   INTEGER NOT NULL,
    -- The points are free again then, if it is still open.
    until         INTEGER NOT NULL,
    channel       INTEGER,
    asked_by      TEXT NOT NULL,
    -- When it came into its state, who said so, and why; NULL where nobody had to.
    state_at      INTEGER NOT NULL,
    actor         TEXT,
    reason        TEXT,
    -- Where it was used.
    used_channel  INTEGER,
    used_location TEXT,
    -- The sale that it was a part of, by its event or by its order; all NULL where none was named.
    sale_source   TEXT,
    sale_event    TEXT,
    sale_system   TEXT,
    sale_order    TEXT
) STRICT, WITHOUT ROWID;

CREATE INDEX redemptions_by_customer ON redemptions (customer, reserved_at);
CREATE INDEX redemptions_to_approve ON redemptions (reserved_at) WHERE state = 'pending-approval';
CREATE INDEX redemptions_by_sale ON redemptions (sale_source, sale_event) WHERE sale_source IS NOT NULL;
CREATE INDEX redemptions_by_order ON redemptions (sale_system, sale_order) WHERE sale_system IS NOT NULL;

-- The redemption that points were given for.
ALTER TABLE takings ADD COLUMN redemption TEXT REFERENCES redemptions;
CREATE INDEX takings_by_redemption ON takings (redemption) WHERE redemption IS NOT NULL;

-- Points that come back with what they were given for are lots as well. SQLite cannot loosen a column, so
-- the table is written anew, without a list of kinds: the program has that.
CREATE TABLE lots_2 (
    id             INTEGER PRIMARY KEY,
    customer       INTEGER NOT NULL REFERENCES customers,
    -- The step that earned it; a review has an empty source and id.
    at             INTEGER NOT NULL,
    source         TEXT NOT NULL,
    event          TEXT NOT NULL,
    -- The plugin's name: a lot outlives the version that made it. Empty where staff or the host gave the
    -- points.
    plugin         TEXT NOT NULL,
    -- base, bonus, adjustment (staff gave them), given-back (they were redeemed, and what they were given
    -- for came back).
    kind           TEXT NOT NULL,
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
    -- NULL where no plugin gave the points.
    plugin_version INTEGER REFERENCES plugin_versions,
    -- The event that it is for.
    journal        INTEGER NOT NULL REFERENCES journal
) STRICT;

INSERT INTO lots_2 SELECT * FROM lots;
DROP TABLE lots;
ALTER TABLE lots_2 RENAME TO lots;
CREATE INDEX lots_by_step ON lots (customer, at, source, event);
