-- What people of the shop may give in a day, and what becomes of items that wait for somebody.

-- What tills and people of the shop have given to all customers together, where the shop has a limit for
-- them. It is counted as events arrive; what it left for an event stands in the event.
CREATE TABLE given (
    -- Of the calendar where it happened, as a number such as 20240229.
    day    INTEGER NOT NULL,
    -- device, staff.
    kind   TEXT NOT NULL,
    -- As events call them.
    name   TEXT NOT NULL,
    points INTEGER NOT NULL,
    PRIMARY KEY (day, kind, name)
) STRICT, WITHOUT ROWID;

-- Who looked at an item, and what they found: both NULL while it waits.
ALTER TABLE review_items ADD COLUMN closed_by TEXT;
ALTER TABLE review_items ADD COLUMN closed_because TEXT;
