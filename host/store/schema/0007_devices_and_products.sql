-- What is known of a shop beside its customers: the devices that call us.
--
-- Nothing that a customer holds depends on it, so it is not in the journal, and a replay does without.

-- The tills and web stores that have said who they are, so that a restart forgets nobody. They are
-- written now and then, and the longest unseen go when there are too many.
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
