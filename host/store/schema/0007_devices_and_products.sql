-- What is known of a shop beside its customers: the devices that call us, and its products. Nothing
-- that a customer holds depends on either.

-- The tills and web stores that have said who they are, so that a restart forgets nobody. They are
-- not in the journal, and a replay does without them. They are written now and then, and the longest
-- unseen go when there are too many.
CREATE TABLE devices (
    -- What the device calls itself.
    name      TEXT PRIMARY KEY,
    -- Where it said last that it stands.
    location  TEXT,
    -- When it was heard last, to the minute.
    seen_at   INTEGER NOT NULL,
    -- The newest rule book of which it has been told: an older one than the live one is behind.
    rule_book INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- The catalogue as the newest event about each product has it, by when it happened: whichever event
-- comes first, it ends the same. `stampcard check` recomputes it from the journal.
CREATE TABLE products (
    product     TEXT NOT NULL,
    -- Empty for a product without variants.
    variant     TEXT NOT NULL,
    -- What tills send on lines, where that is not the variant.
    sku         TEXT,
    name        TEXT,
    -- Of one unit.
    price       INTEGER NOT NULL,
    -- JSON lists.
    collections TEXT NOT NULL,
    flags       TEXT NOT NULL,
    -- The event that told it: its time, and its name where times are equal.
    at          INTEGER NOT NULL,
    source      TEXT NOT NULL,
    id          TEXT NOT NULL,
    PRIMARY KEY (product, variant)
) STRICT, WITHOUT ROWID;

-- The product of a line, by what a till sends.
CREATE INDEX products_by_sku ON products (sku) WHERE sku IS NOT NULL;
CREATE INDEX products_by_variant ON products (variant) WHERE variant <> '';
