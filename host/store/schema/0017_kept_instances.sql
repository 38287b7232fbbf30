-- Plugins whose instances are kept between calls, and what becomes of one that was found to remember
-- others: it falls back to a fresh instance for each call, and that is a rule book of its own. What
-- each call ran in stands with the call, in the explanation (see row.rs). Answers that nobody believes
-- any more are kept in `missed`, beside those that were never given: other ones are owed for both.
--
-- From where a rule book came has a word more. SQLite cannot change a check, so the table is written
-- anew with all that is in it.
CREATE TABLE rule_books_2 (
    -- Counts from 1 without gaps.
    number     INTEGER PRIMARY KEY,
    -- When it went live.
    created_at INTEGER NOT NULL,
    -- JSON: the plugins in their order, as recorded calls index them.
    plugins    TEXT NOT NULL,
    -- JSON: the rule parts of merchant.toml.
    shop       TEXT NOT NULL,
    origin     TEXT NOT NULL CHECK (origin IN ('folder', 'install', 'rollback', 'quarantine', 'release', 'fall-back')),
    -- Who ordered it: a login on this machine, a key of the API. Empty for what the folder brought
    -- and for what the host did by itself.
    actor      TEXT NOT NULL,
    -- In their words; for a quarantine and for a fall-back, what was seen.
    reason     TEXT NOT NULL,
    -- JSON: the packs of which plugins are live.
    packs      TEXT NOT NULL DEFAULT '[]'
) STRICT;

INSERT INTO rule_books_2 SELECT number, created_at, plugins, shop, origin, actor, reason, packs FROM rule_books;
DROP TABLE rule_books;
ALTER TABLE rule_books_2 RENAME TO rule_books;

CREATE TRIGGER rule_books_never_change BEFORE UPDATE ON rule_books
BEGIN SELECT RAISE(ABORT, 'rule books are append-only'); END;
CREATE TRIGGER rule_books_never_go BEFORE DELETE ON rule_books
BEGIN SELECT RAISE(ABORT, 'rule books are append-only'); END;
