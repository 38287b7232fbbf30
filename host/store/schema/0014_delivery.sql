-- What became of follow-ups that were due. They leave from the outbox, so it says so itself; and where
-- the fold plans a row again that had not left, it begins anew.

-- Beside `planned`, `suppressed`, `cancelled` and `withdrawn` a row of the outbox may be
--   sent     the receiver took it
--   dead     it was tried as often as the shop wants, or there is nowhere to send it to: somebody looks
--   too-late nobody would want it any more when its turn came
--   dropped  somebody said that it is not to be sent
-- These are facts: no refold takes them back, and nothing that was planned is sent twice.

-- How often it was tried.
ALTER TABLE outbox ADD COLUMN attempts INTEGER NOT NULL DEFAULT 0;
-- When it is its turn, where that is later than when it is due: after an attempt that failed, or after a
-- night.
ALTER TABLE outbox ADD COLUMN next_attempt INTEGER;
-- What was wrong with the last attempt, or who dropped it. Nothing that is personal.
ALTER TABLE outbox ADD COLUMN problem TEXT;
-- When it was sent, given up, dropped or seen to be too late.
ALTER TABLE outbox ADD COLUMN ended_at INTEGER;

-- What browsers did of which nobody has said whose they are. The row goes when somebody does, or when it
-- is too old; then the journal has the event still, and nobody can tell whose it was.
CREATE TABLE visits (
    journal INTEGER PRIMARY KEY REFERENCES journal,
    -- The browser, under a name that says nothing.
    visitor TEXT NOT NULL,
    -- When it happened.
    at      INTEGER NOT NULL
) STRICT;

CREATE INDEX visits_by_visitor ON visits (visitor, at);
CREATE INDEX visits_by_age ON visits (at);

-- Whose turn it is.
CREATE INDEX outbox_by_turn ON outbox (coalesce(next_attempt, due), id) WHERE state = 'planned';
-- What somebody has to look at.
CREATE INDEX outbox_dead ON outbox (id) WHERE state = 'dead';
