-- What there is of a product, as the newest event about it has it, by when it happened: whichever
-- event comes first, it ends the same. Rewards that are products are not promised where there is none;
-- nothing else depends on it, and we never count it ourselves. `stampcard check` recomputes it from the
-- journal.
CREATE TABLE stock (
    -- What tills send on lines.
    sku      TEXT NOT NULL,
    -- Where it is: at a location, or for a channel that sells from somewhere else. One of the two is
    -- empty.
    location TEXT NOT NULL,
    channel  TEXT NOT NULL,
    -- Pieces that can be given. Below zero where more was sold than there is.
    quantity INTEGER NOT NULL,
    -- The event that told it: its time, and its name where times are equal.
    at       INTEGER NOT NULL,
    source   TEXT NOT NULL,
    id       TEXT NOT NULL,
    PRIMARY KEY (sku, location, channel),
    CHECK ((location = '') <> (channel = ''))
) STRICT, WITHOUT ROWID;
