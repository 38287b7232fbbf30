-- Rules that stand in the folder as their authors wrote them.

-- What is built of a source is not the same twice. So a source is known by its own digest: here is which
-- component it became, and that one is taken again. Both are NULL where the folder had a component.
ALTER TABLE rule_book_files ADD COLUMN source_file TEXT;
ALTER TABLE rule_book_files ADD COLUMN source TEXT REFERENCES artifacts;

CREATE INDEX rule_book_files_by_source ON rule_book_files (source) WHERE source IS NOT NULL;
