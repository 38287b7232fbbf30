"""The rules of expected.py against tables small enough to check by hand, and proof that check.py can fail."""

import contextlib
import io
import json
import stat
import tempfile
import unittest
from pathlib import Path

import duckdb

import check
from expected import DAY, TIER_WINDOW, WEEK, add_sales, standings

NOW = 1_500_000_000  # seconds since 1970: 2017-07-14T02:40:00Z


def shop_of_one(*sales):
    """A source with one household and its sales: (seconds before NOW, dollars, coupon dollars, channel)."""
    source = duckdb.connect()
    source.execute(
        "CREATE TABLE lines (basket BIGINT, household BIGINT, moment BIGINT, channel VARCHAR,"
        " sales DECIMAL(18, 2), coupon DECIMAL(18, 2))"
    )
    for basket, (age, dollars, coupon, channel) in enumerate(sales):
        row = [basket, 7, NOW - age, channel, dollars, coupon]
        source.execute("INSERT INTO lines VALUES (?, ?, ?, ?, ?, ?)", row)
    add_sales(source)
    return source


def standing_of(*sales):
    return standings(shop_of_one(*sales), NOW)["7"]


def store(age, dollars, coupon="0"):
    return (age, dollars, coupon, "pos")


class Rules(unittest.TestCase):
    def test_spend_points_and_orders_go_by_what_the_customer_paid(self):
        cases = {
            # what: (sales), orders, spend, balance
            "cents are not rounded up": ((store(0, "1.99"),), 1, 199, 1),
            "each basket is rounded on its own": ((store(0, "1.99"), store(9, "1.99")), 2, 398, 2),
            "a coupon lowers the total": ((store(0, "5.00", "0.01"),), 1, 499, 4),
            "coupons beyond the goods stop at zero": ((store(0, "1.00", "3.50"), store(9, "2.00")), 2, 200, 2),
            "a basket worth nothing is an order": ((store(0, "0.00"),), 1, 0, 0),
        }
        for what, (sales, orders, spend, balance) in cases.items():
            with self.subTest(what):
                found = standing_of(*sales)
                self.assertEqual((found.orders, found.spend, found.balance), (orders, spend, balance))

    def test_tiers_begin_at_their_threshold_and_forget_after_365_times_24_hours(self):
        cases = {
            "a cent short of silver": ((store(0, "499.99"),), None),
            "silver": ((store(0, "500.00"),), "silver"),
            "a cent short of gold": ((store(0, "1499.99"),), "silver"),
            "gold": ((store(0, "1000.00"), store(9, "500.00")), "gold"),
            "platinum": ((store(0, "5000.00"),), "platinum"),
            "a sale in the last second of the window": ((store(TIER_WINDOW - 1, "500.00"),), "silver"),
            "a sale that is exactly as old as the window": ((store(TIER_WINDOW, "500.00"),), None),
        }
        for what, (sales, tier) in cases.items():
            with self.subTest(what):
                self.assertEqual(standing_of(*sales).tier, tier)

    def test_segments_begin_and_end_where_they_should(self):
        weeks = [store(span * WEEK, "1.00") for span in range(4)]
        cases = {
            "one order": ([store(0, "9.00")], {"first-timer"}),
            "two orders": ([store(0, "9.00"), store(1, "9.00")], set()),
            "exactly 500.00 is no VIP": ([store(0, "500.00"), store(1, "1.00")], set()),
            "a cent more is": ([store(0, "500.01"), store(1, "1.00")], {"vip"}),
            "once a VIP, whatever comes next": ([store(20 * DAY, "500.01"), store(1, "1.00")], {"vip"}),
            "500.00 in two orders is no VIP": ([store(0, "400.00"), store(1, "400.00")], set()),
            "a coupon can cost the VIP": ([store(0, "500.01", "0.01"), store(1, "1.00")], set()),
            "a sale exactly 7 days old is in the second span": (weeks, {"weekly"}),
            "a second later it is there still": ([(age + 1, *rest) for age, *rest in weeks], {"weekly"}),
            "four sales in three spans": ([store(0, "1.00"), *weeks[:3]], set()),
            "the fourth span is empty and the fifth is not": ([*weeks[:3], store(4 * WEEK, "1.00")], set()),
            "five spans in a row": ([*weeks, store(4 * WEEK, "1.00")], {"weekly"}),
            "the second span is empty": ([weeks[0], *weeks[2:]], set()),
            "the latest span is empty": (weeks[1:], set()),
            "a second short of 30 days": ([store(30 * DAY - 1, "1.00")] * 2, set()),
            "30 days": ([store(30 * DAY, "1.00")] * 2, {"lapsed"}),
            "the last sale counts, not the first": ([store(90 * DAY, "1.00"), store(0, "1.00")], set()),
            "store and online": ([store(0, "1.00"), (9, "1.00", "0", "online")], {"omnichannel"}),
            "online alone": ([(0, "1.00", "0", "online"), (9, "1.00", "0", "online")], set()),
        }
        for what, (sales, segments) in cases.items():
            with self.subTest(what):
                self.assertEqual(set(standing_of(*sales).segments), segments)

    def test_a_day_in_between_counts_its_own_instant_and_nothing_later(self):
        source = shop_of_one(store(100, "1.00"), store(50, "2.00"), store(0, "4.00"))
        self.assertEqual(standings(source, NOW - 101), {})
        self.assertEqual(standings(source, NOW - 100)["7"].spend, 100)
        self.assertEqual(standings(source, NOW - 51)["7"].spend, 100)
        self.assertEqual(standings(source, NOW - 50)["7"].spend, 300)


# The shop below, in the rows of the source: household, basket, seconds before NOW, sales_value,
# retail_disc, coupon_disc, coupon_match_disc.
LINES = (
    (1, 11, 31 * DAY, 600.00, 0.00, 0.00, 0.00),
    (1, 12, 31 * DAY - 1, 1.50, 0.10, 0.75, 0.25),
    (2, 21, 3 * WEEK, 10.99, 0.00, 0.00, 0.00),
    (2, 22, 2 * WEEK, 10.99, 0.00, 0.00, 0.00),
    (2, 23, 1 * WEEK, 10.99, 0.00, 0.00, 0.00),
    (2, 24, 0, 10.99, 0.00, 0.00, 0.00),
)


def honest_exports():
    """What a shop must export after those sales, written down by hand."""
    customers = [
        customer("1", orders=2, spend=60_075, balance=600, tier="silver", segments=["lapsed", "vip"]),
        customer("2", orders=4, spend=4_396, balance=40, tier=None, segments=["weekly", "autumn"]),
    ]
    ledger = [entry("1", 600), entry("2", 10), entry("2", 10), entry("2", 10), entry("2", 10)]
    events = [
        sale([{"amount": 60_000}], [], 60_000),
        sale([{"amount": 175, "discount": 10}], [discount("C", 75), discount("COUPON-MATCH", 25)], 75),
        *[sale([{"amount": 1_099}], [], 1_099)] * 4,
        {"kind": "review.due"},
    ]
    return {"customers": customers, "ledger": ledger, "events": events}


def customer(household, **figures):
    identities = [{"kind": "card", "value": "99"}, {"kind": "external", "value": f"complete-journey/{household}"}]
    return {"id": f"cus_{household}", "identities": identities, **figures}


def entry(household, amount):
    return {"customer": f"cus_{household}", "amount": amount}


def discount(code, amount):
    return {"code": code, "amount": amount}


def sale(lines, discounts, total):
    return {"event": {"type": "sale.completed", "data": {"lines": lines, "discounts": discounts, "total": total}}}


class Comparison(unittest.TestCase):
    """Runs check.py whole, with a program in the place of `stampcard` that prints prepared exports."""

    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = Path(folder.name)
        source = duckdb.connect()
        source.execute(
            "CREATE TABLE t (household_id BIGINT, basket_id BIGINT, transaction_timestamp TIMESTAMP,"
            " sales_value DOUBLE, retail_disc DOUBLE, coupon_disc DOUBLE, coupon_match_disc DOUBLE)"
        )
        for household, basket, age, *money in LINES:
            source.execute(
                "INSERT INTO t VALUES (?, ?, make_timestamp(CAST(? AS BIGINT)), ?, ?, ?, ?)",
                [household, basket, (NOW - age) * 1_000_000, *money],
            )
        source.execute(f"COPY t TO '{self.folder / 'transactions.parquet'}' (FORMAT parquet)")
        self.stampcard = self.folder / "stampcard"
        self.stampcard.write_text(
            "#!/bin/sh\n"
            'case "$1 $4 $5" in\n'
            '"export  ") exec cat "$2/$3" 2>/dev/null ;;\n'
            '"export --as-of 2017-07-14T02:39:59Z") exec cat "$2/$3-before" ;;\n'
            "*) exit 64 ;;\n"
            "esac\n"
        )
        self.stampcard.chmod(self.stampcard.stat().st_mode | stat.S_IXUSR)

    def check(self, change=lambda exports: None, *more):
        exports = honest_exports()
        before = json.loads(json.dumps(exports["customers"]))
        before[1].update(orders=3, spend=3_297, balance=30, segments=["autumn"])
        exports["customers-before"] = before
        change(exports)
        for name, rows in exports.items():
            (self.folder / name).write_text("".join(json.dumps(row) + "\n" for row in rows))
        printed = io.StringIO()
        with contextlib.redirect_stdout(printed), contextlib.redirect_stderr(printed):
            code = check.main(
                [str(self.folder), "--stampcard", str(self.stampcard), "--data", str(self.folder),
                 "--as-of", "2017-07-13T22:39:59-04:00", *more]
            )
        return code, printed.getvalue()

    def test_an_honest_export_has_no_difference(self):
        code, printed = self.check()
        self.assertEqual(code, 0, printed)
        self.assertIn("No difference.", printed)
        self.assertIn("not checked: autumn.", printed)

    def test_every_figure_that_is_wrong_is_found_and_named(self):
        def change(of, index, **values):
            return lambda exports: exports[of][index].update(values)

        def lose_a_customer(exports):
            exports["customers"].pop(0)

        def double_a_customer(exports):
            exports["customers"].append(exports["customers"][0] | {"id": "cus_1b"})

        def lose_a_sale(exports):
            exports["events"].pop(0)

        def discount_a_line(exports):
            exports["events"][0] = sale([{"amount": 60_000, "discount": 1}], [], 60_000)

        def mistake_a_match_for_a_coupon(exports):
            exports["events"][1]["event"]["data"]["discounts"][1]["code"] = "C"

        now, before = "2017-07-14T02:40:00Z", "2017-07-14T02:39:59Z"
        cases = {
            f"household 1 at {now}, orders: data 2, shop 3": change("customers", 0, orders=3),
            f"household 1 at {now}, spend: data 60075, shop 60076": change("customers", 0, spend=60_076),
            f"household 1 at {now}, balance: data 600, shop 601": change("customers", 0, balance=601),
            f"household 2 at {now}, tier: data None, shop gold": change("customers", 1, tier="gold"),
            f"household 2 at {now}, weekly: data True, shop False": change("customers", 1, segments=[]),
            f"household 2 at {before}, vip: data False, shop True": change("customers-before", 1, segments=["vip"]),
            f"household 2 at {before}, balance: data 30, shop 40": change("customers-before", 1, balance=40),
            f"household 1 at {now}, households: data there, shop missing": lose_a_customer,
            f"household cus_1b at {now}, households: data missing, shop there": double_a_customer,
            "ledger: sum of all entries 640 641 1": change("ledger", 0, amount=601),
            "ledger: households with another sum 0 2 2": change("ledger", 1, customer="cus_1"),
            "events: sales 6 5 -1": lose_a_sale,
            "events: retail_disc 0.10 0.11 0.01": discount_a_line,
            "events: coupon_disc 0.75 1.00 0.25": mistake_a_match_for_a_coupon,
        }
        for named, perturb in cases.items():
            with self.subTest(named):
                code, printed = self.check(perturb)
                self.assertEqual(code, 1, printed)
                self.assertIn(named, " ".join(printed.split()))

    def test_only_the_baskets_of_the_events_file_count(self):
        events = self.folder / "events.ndjson"
        events.write_text("".join(f'{{"id":"{basket}","data":{{}}}}\n' for basket in (11, 12, 21, 22, 23)))
        code, printed = self.check(lambda exports: None, "--events", str(events), "--end", "2017-07-14T02:40:00Z")
        self.assertEqual(code, 1, printed)
        self.assertIn("household 2 at 2017-07-14T02:40:00Z, orders: data 3, shop 4", printed)
        code, printed = self.check(lambda exports: None, "--events", str(events))
        self.assertEqual(code, 2, printed)
        self.assertIn("2017-07-14T02:39:59Z is after the end, 2017-07-07T02:40:00Z", printed)

    def test_an_events_file_that_is_not_of_this_data_is_refused(self):
        events = self.folder / "events.ndjson"
        events.write_text('{"id":"11"}\n{"id":"99"}\n')
        code, printed = self.check(lambda exports: None, "--events", str(events))
        self.assertEqual(code, 2, printed)
        self.assertIn("1 of the 2 baskets", printed)

    def test_an_export_that_cannot_be_read_is_not_called_equal(self):
        cases = {
            "a field is missing": lambda exports: exports["customers"][0].pop("balance"),
            "an entry has no amount": lambda exports: exports["ledger"][0].pop("amount"),
            "the export fails": lambda exports: exports.pop("ledger"),
            "a line is no object": lambda exports: exports["events"].append(7),
        }
        for what, perturb in cases.items():
            with self.subTest(what):
                for left in ("customers", "ledger", "events"):
                    (self.folder / left).unlink(missing_ok=True)
                self.assertEqual(self.check(perturb)[0], 2)


if __name__ == "__main__":
    unittest.main()
