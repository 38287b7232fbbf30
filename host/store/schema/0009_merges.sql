-- Two profiles that are one person. The one who stays has the history, the lots and the names of both;
-- of the other one only the row is left, and their entries in the ledger, which never change.

-- Who the customer is today, where somebody took them in; NULL for those who are nobody else. It leads
-- there in one step, however often one was merged into the next.
ALTER TABLE customers ADD COLUMN merged_into INTEGER REFERENCES customers;

CREATE INDEX customers_by_merge ON customers (merged_into) WHERE merged_into IS NOT NULL;

-- Every merge there was, so that one can be taken back: also one that lies under a later one.
CREATE TABLE merges (
    -- The event that did it.
    journal  INTEGER PRIMARY KEY REFERENCES journal,
    kept     INTEGER NOT NULL REFERENCES customers,
    other    INTEGER NOT NULL REFERENCES customers,
    -- The event that took it back; NULL while it stands.
    ended_by INTEGER REFERENCES journal
) STRICT;

CREATE INDEX merges_by_kept ON merges (kept);
CREATE INDEX merges_by_other ON merges (other);

-- Events that came while two profiles were one, and went to the other one when that was taken back: whose
-- they are now. Of all others the journal says whose they were on arrival.
CREATE TABLE given_back (
    journal  INTEGER PRIMARY KEY REFERENCES journal,
    customer INTEGER NOT NULL REFERENCES customers
) STRICT;

-- Two customers of whom somebody has said that they are two people: by declining to merge them, or by
-- taking a merge back. No policy merges them, and nobody is asked again. Each pair is here both ways.
CREATE TABLE told_apart (
    one     INTEGER NOT NULL REFERENCES customers,
    other   INTEGER NOT NULL REFERENCES customers,
    -- The event that said so last.
    journal INTEGER NOT NULL REFERENCES journal,
    PRIMARY KEY (one, other)
) STRICT, WITHOUT ROWID;

-- Whether two are suggested already.
CREATE INDEX review_items_suggested ON review_items (body) WHERE kind = 'merge-suggested' AND resolved_at IS NULL;

-- Whose the identifier was first, where a merge brought it to somebody else: there it goes back.
ALTER TABLE identifiers ADD COLUMN first_of INTEGER REFERENCES customers;
