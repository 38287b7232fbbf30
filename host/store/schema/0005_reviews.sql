-- What happens to customers when other rules go live, and to rules that fail.

-- From where a rule book came: the shop's folder, a plugin that was installed, one that was rolled
-- back, one that failed too often and was quarantined, one that was released from there. SQLite
-- cannot change a check, so the table is written anew with all that is in it.
CREATE TABLE rule_books_2 (
    -- Counts from 1 without gaps.
    number     INTEGER PRIMARY KEY,
    -- When it went live.
    created_at INTEGER NOT NULL,
    -- JSON: the plugins in their order, as recorded calls index them.
    plugins    TEXT NOT NULL,
    -- JSON: the rule parts of merchant.toml.
    shop       TEXT NOT NULL,
    origin     TEXT NOT NULL CHECK (origin IN ('folder', 'install', 'rollback', 'quarantine', 'release')),
    -- Who ordered it: a login on this machine, a key of the API. Empty for what the folder brought
    -- and for what the host did by itself.
    actor      TEXT NOT NULL,
    -- In their words; for a quarantine, what was seen.
    reason     TEXT NOT NULL
) STRICT;

INSERT INTO rule_books_2 SELECT number, created_at, plugins, shop, origin, actor, reason FROM rule_books;
DROP TABLE rule_books;
ALTER TABLE rule_books_2 RENAME TO rule_books;

CREATE TRIGGER rule_books_never_change BEFORE UPDATE ON rule_books
BEGIN SELECT RAISE(ABORT, 'rule books are append-only'); END;
CREATE TRIGGER rule_books_never_go BEFORE DELETE ON rule_books
BEGIN SELECT RAISE(ABORT, 'rule books are append-only'); END;

-- Steps at which a plugin gave no answer: it failed, or it was quarantined. When it is mended they
-- are asked for again. A step that went well meanwhile is not here.
CREATE TABLE missed (
    customer INTEGER NOT NULL REFERENCES customers,
    -- The step; a review has an empty source and id.
    at       INTEGER NOT NULL,
    source   TEXT NOT NULL,
    id       TEXT NOT NULL,
    -- The plugin's name: the version that answers is another one.
    plugin   TEXT NOT NULL,
    PRIMARY KEY (customer, at, source, id, plugin)
) STRICT, WITHOUT ROWID;

-- Whom a plugin owes an answer.
CREATE INDEX missed_by_plugin ON missed (plugin, customer);

-- Other rules went live, and customers are asked again, one after the other behind the tills. One
-- such round is under way at a time; a newer one takes over what an older one has not done.
CREATE TABLE rule_reviews (
    rule_book INTEGER PRIMARY KEY REFERENCES rule_books,
    -- JSON list: the plugins that are new, or not as they were.
    asks      TEXT NOT NULL,
    -- 1: every customer is asked. 0: only those to whom one of these plugins owes an answer.
    everyone  INTEGER NOT NULL,
    -- The last customer there was when it began; those who come later met the new rules first.
    last      INTEGER NOT NULL,
    -- How many it is about, for whoever watches.
    customers INTEGER NOT NULL,
    -- How far it has come: customers up to this one were asked.
    done_to   INTEGER NOT NULL,
    -- How many were, for how many something came of it, and for how many it failed.
    asked     INTEGER NOT NULL,
    changed   INTEGER NOT NULL,
    failed    INTEGER NOT NULL,
    began_at  INTEGER NOT NULL,
    -- NULL while it is under way.
    ended_at  INTEGER
) STRICT;
