-- Format 2: whether anybody needs a key.
--
-- A key that nobody uses is a door that nobody watches; the doctor names it, so that it can be ended.

-- When it was used last, to the day: a till that sells all day writes this once. NULL is never.
ALTER TABLE api_keys ADD COLUMN last_used_at INTEGER;
