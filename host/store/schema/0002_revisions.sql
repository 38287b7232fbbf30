-- Rules go live by themselves and by order; here is who said so, and what the folder had.

-- From where a rule book came: the shop's folder, a plugin that was installed, one that was rolled
-- back.
ALTER TABLE rule_books ADD COLUMN origin TEXT NOT NULL DEFAULT 'folder'
    CHECK (origin IN ('folder', 'install', 'rollback'));
-- Who ordered it: a login on this machine, a key of the API. Empty for what the folder brought.
ALTER TABLE rule_books ADD COLUMN actor TEXT NOT NULL DEFAULT '';
-- In their words.
ALTER TABLE rule_books ADD COLUMN reason TEXT NOT NULL DEFAULT '';

-- What each plugin of a rule book was loaded from, so that it can go live again just as it was.
CREATE TABLE rule_book_files (
    rule_book INTEGER NOT NULL REFERENCES rule_books,
    -- The index in the rule book, from 0.
    position  INTEGER NOT NULL,
    -- sha256 of the files as they were found; tells whether the folder still has the same.
    made_of   TEXT NOT NULL,
    -- NAME.toml with what a pack adds to it.
    manifest  TEXT NOT NULL REFERENCES artifacts,
    -- The JSON Schema of the configuration, where it is a file of its own.
    schema    TEXT REFERENCES artifacts,
    PRIMARY KEY (rule_book, position)
) STRICT, WITHOUT ROWID;

-- What the folder had for each plugin when it was last looked at. A file that is not live and has
-- not changed since is not taken again: somebody rolled it back, or installed another version.
CREATE TABLE inbox (
    name    TEXT PRIMARY KEY,
    made_of TEXT NOT NULL
) STRICT, WITHOUT ROWID;

-- What a command on this machine asks of the server that has the file open.
CREATE TABLE requests (
    number      INTEGER PRIMARY KEY AUTOINCREMENT,
    placed_at   INTEGER NOT NULL,
    -- JSON: what is to be done.
    body        TEXT NOT NULL,
    -- The component that goes with it.
    component   BLOB,
    -- JSON: what became of it. NULL while it waits.
    answer      TEXT,
    answered_at INTEGER
) STRICT;
