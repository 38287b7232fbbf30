-- Store credit: money that the shop owes its customers, in minor units of its currency. It is kept in the
-- same ledger as points, by the same rules, so every row of it says which of the two it is about:
-- 0 for points, 1 for store credit.

ALTER TABLE lots ADD COLUMN currency INTEGER NOT NULL DEFAULT 0;
ALTER TABLE takings ADD COLUMN currency INTEGER NOT NULL DEFAULT 0;
-- `balance_after` is the balance of that currency.
ALTER TABLE entries ADD COLUMN currency INTEGER NOT NULL DEFAULT 0;

-- The sum of the entries of store credit, as `balance` is that of points.
ALTER TABLE customers ADD COLUMN credit INTEGER NOT NULL DEFAULT 0;

-- What is set aside in `points` may be store credit.
ALTER TABLE redemptions ADD COLUMN currency INTEGER NOT NULL DEFAULT 0;
-- What was taken with it: 0 while it is not confirmed, and of store credit what the basket needed.
ALTER TABLE redemptions ADD COLUMN taken INTEGER NOT NULL DEFAULT 0;
UPDATE redemptions SET taken = points WHERE state = 'confirmed';
