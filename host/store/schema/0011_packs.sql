-- Packs: plugins that travel together in one file, which somebody signed.
--
-- JSON: the packs of which plugins are live with a rule book, each with its version, the digest of
-- what was signed, who signed it as the shop calls them, what the shop said to its plugins, and which
-- plugins came with it. A rule book never changes, so whose a plugin was stays known for ever.
ALTER TABLE rule_books ADD COLUMN packs TEXT NOT NULL DEFAULT '[]';
