-- Customers who bring friends.

-- Codes with which friends join. Whoever enrols is given one.
CREATE TABLE referral_codes (
    code       TEXT NOT NULL PRIMARY KEY,
    customer   INTEGER NOT NULL REFERENCES customers,
    -- The event with which they enrolled.
    journal    INTEGER NOT NULL REFERENCES journal,
    -- The event that took it back; NULL while it works.
    revoked_by INTEGER REFERENCES journal
) STRICT, WITHOUT ROWID;

CREATE INDEX referral_codes_by_customer ON referral_codes (customer);

-- What steps of customers gave those who had referred them: a view of the customer's fold, against which a
-- refold is held. What the referrers have of it is in events of their own.
CREATE TABLE referrer_awards (
    id             INTEGER PRIMARY KEY,
    -- The friend.
    customer       INTEGER NOT NULL REFERENCES customers,
    -- The friend's step.
    at             INTEGER NOT NULL,
    source         TEXT NOT NULL,
    event          TEXT NOT NULL,
    -- Its place in the history of the referrer, and the id of the referral.
    place          TEXT NOT NULL,
    referral       TEXT NOT NULL,
    -- cus_…, as they were called then.
    referrer       TEXT NOT NULL,
    -- Below zero for what a return took again.
    points         INTEGER NOT NULL,
    -- JSON list of [line, points], for returns.
    shares         TEXT NOT NULL,
    -- The award as a lot has it; of the sale that it was for, where something was taken again.
    award_at       INTEGER NOT NULL,
    award_source   TEXT NOT NULL,
    award_event    TEXT NOT NULL,
    plugin         TEXT NOT NULL,
    kind           TEXT NOT NULL,
    reason         TEXT NOT NULL,
    covers         TEXT NOT NULL,
    available_from INTEGER,
    expires_at     INTEGER,
    on_return      TEXT NOT NULL,
    ordinal        INTEGER NOT NULL
) STRICT;

CREATE INDEX referrer_awards_by_step ON referrer_awards (customer, at, source, event);
