"""Small tables in the source's format, and the events that they must become."""

import contextlib
import io
import json
import tempfile
import unittest
from datetime import datetime
from pathlib import Path

import pyarrow
import pyarrow.parquet

import convert

TRANSACTIONS = (
    "household_id", "store_id", "basket_id", "product_id", "quantity",
    "sales_value", "retail_disc", "coupon_disc", "coupon_match_disc", "transaction_timestamp",
)  # fmt: skip
YEAR = (
    # The source's own example: the shelf price is 3.34, the shop receives 2.89, the customer pays 2.34.
    (208, 367, 31, 819063, 2, 2.89, 0.00, 0.55, 0.45, "2017-03-12T06:59:59"),
    # Later in the same night, after the clocks went forward; a loyalty price that three pieces cannot share.
    (1, 2, 32, 1000, 3, 2.00, 0.50, 0.00, 0.00, "2017-03-12T07:00:00"),
    (1, 2, 32, 2000, 0, 5.551115e-17, 0.00, 0.00, 0.00, "2017-03-12T07:00:00"),
    # Fuel is counted in thousandths of a gallon.
    (1, 2, 33, 3000, 8963, 19.99, 0.00, 0.00, 0.00, "2017-11-05T05:30:00"),
    # A coupon alone, an hour later by the sun and at the same time by the clock.
    (208, 367, 34, 5978656, 0, 0.00, 0.00, 5.00, 0.00, "2017-11-05T06:30:00"),
    (9, 2, 35, 1000, 1, 1.00, 0.00, 0.00, 0.00, "2017-11-20T17:00:00"),
    # Two coupons on one basket: one known by its number, one that could be either of two.
    (208, 2, 36, 819063, 1, 4.00, 0.00, 1.00, 0.00, "2018-01-01T04:01:20"),
    (208, 2, 36, 1000, 1, 3.00, 0.00, 0.75, 0.00, "2018-01-01T04:01:20"),
)
PRODUCTS = (
    {"product_id": 819063, "department": "GROCERY", "brand": "National", "product_category": "SOUP",
     "product_type": 'SOUP "HOT"', "package_size": "10 OZ"},
    {"product_id": 1000, "department": "PASTRY", "brand": "Private", "product_category": "ROLLS",
     "product_type": "BAGELS", "package_size": None},
    {"product_id": 3000, "department": "FUEL", "brand": "National", "product_category": None,
     "product_type": None, "package_size": None},
)  # fmt: skip
COUPONS = ((51111111111, 819063, 8), (52222222222, 1000, 8), (53333333333, 1000, 9))
REDEMPTIONS = ((208, 51111111111, 8), (208, 52222222222, 8), (208, 53333333333, 9))


class Conversion(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        folder = tempfile.TemporaryDirectory()
        cls.addClassCleanup(folder.cleanup)
        cls.data = Path(folder.name)
        rows = [dict(zip(TRANSACTIONS, row, strict=True)) for row in YEAR]
        for row in rows:
            row["transaction_timestamp"] = datetime.fromisoformat(row["transaction_timestamp"])
        day = datetime(2017, 12, 31)
        tables = {
            "transactions": rows,
            "products": PRODUCTS,
            "coupons": [dict(zip(("coupon_upc", "product_id", "campaign_id"), row, strict=True)) for row in COUPONS],
            "coupon_redemptions": [
                {"household_id": household, "coupon_upc": upc, "campaign_id": campaign, "redemption_date": day}
                for household, upc, campaign in REDEMPTIONS
            ],
        }
        for name, table in tables.items():
            pyarrow.parquet.write_table(pyarrow.Table.from_pylist(list(table)), cls.data / f"{name}.parquet")

    def convert(self, *options):
        output = self.data / "events.ndjson"
        with contextlib.redirect_stderr(io.StringIO()) as printed:
            convert.main([str(output), "--data", str(self.data), "--quiet", *options])
        self.printed = printed.getvalue()
        return [json.loads(line) for line in output.read_text().splitlines()]

    def sale(self, basket):
        (event,) = (event for event in self.convert() if event["id"] == basket)
        return event["data"]

    def test_the_envelope_says_who_where_and_when(self):
        event = self.convert()[0]
        sale = event.pop("data")
        self.assertEqual(
            event,
            {"specversion": "1.0", "id": "31", "source": "complete-journey", "type": "sale.completed",
             "time": "2017-03-12T01:59:59-05:00"},
        )  # fmt: skip
        del sale["lines"], sale["discounts"]
        self.assertEqual(
            sale,
            {"channel": "pos", "location": "store-367", "order": {"system": "complete-journey", "id": "31"},
             "customer": {"external": {"source": "complete-journey", "id": "208"}}, "currency": "USD",
             "tax_included": False, "total": 234},
        )  # fmt: skip

    def test_times_are_utc_in_the_source_and_local_with_their_offset_in_the_events(self):
        self.assertEqual(
            [event["time"] for event in self.convert()],
            ["2017-03-12T01:59:59-05:00", "2017-03-12T03:00:00-04:00", "2017-11-05T01:30:00-04:00",
             "2017-11-05T01:30:00-05:00", "2017-11-20T12:00:00-05:00", "2017-12-31T23:01:20-05:00"],
        )  # fmt: skip

    def test_a_matched_coupon_is_two_discounts_on_the_order(self):
        sale = self.sale("31")
        self.assertEqual(
            sale["lines"],
            [{"sku": "819063", "product": "819063", "name": 'SOUP "HOT" 10 OZ', "category": "SOUP",
              "collections": ["GROCERY"], "tags": ["national-brand"], "quantity": 2, "unit_price": 167, "amount": 334}],
        )  # fmt: skip
        self.assertEqual(
            sale["discounts"],
            [{"code": "COUPON-MATCH", "amount": 45}, {"code": "MANUFACTURER-COUPON", "amount": 55}],
        )

    def test_a_unit_price_is_told_only_where_it_is_whole(self):
        bagels, nothing = self.sale("32")["lines"]
        self.assertEqual((bagels["quantity"], bagels["discount"], bagels["amount"]), (3, 50, 200))
        self.assertNotIn("unit_price", bagels)
        self.assertEqual(nothing, {"sku": "2000", "product": "2000", "quantity": 0, "amount": 0})
        (fuel,) = self.sale("33")["lines"]
        self.assertEqual((fuel["quantity"], fuel["amount"], "unit_price" in fuel), (8963, 1999, False))

    def test_coupons_beyond_the_goods_end_at_zero_and_keep_their_sum(self):
        sale = self.sale("34")
        self.assertEqual((sale["total"], sale["rounding"], sale["discounts"][0]["amount"]), (0, 500, 500))

    def test_a_coupon_has_its_number_where_only_one_can_be_meant(self):
        self.assertEqual(
            self.sale("36")["discounts"],
            [{"code": "51111111111", "amount": 100}, {"code": "MANUFACTURER-COUPON", "amount": 75}],
        )

    def test_options_take_whole_baskets(self):
        def chosen(*options):
            return [event["id"] for event in self.convert(*options)]

        self.assertEqual(chosen("--month", "2017-12"), ["36"])
        self.assertEqual(chosen("--month", "busiest"), ["33", "34", "35"])
        self.assertEqual(chosen("--households", "1"), ["32", "33"])
        self.assertEqual(chosen("--limit", "2"), ["31", "32"])
        self.assertEqual(chosen("--households", "1", "--month", "2017-11", "--limit", "9"), ["33"])

    def test_a_shuffle_is_another_order_of_the_same_events_and_the_same_every_time(self):
        in_time = self.convert()
        orders = [self.convert("--shuffle", str(seed)) for seed in range(4)]
        self.assertEqual(orders[1], self.convert("--shuffle", "1"))
        for events in orders:
            self.assertEqual(sorted(event["id"] for event in events), [event["id"] for event in in_time])
        self.assertTrue(any(events != in_time for events in orders))

    def test_a_month_without_sales_is_an_error_and_leaves_the_last_file_alone(self):
        before = self.convert()
        with self.assertRaises(SystemExit), contextlib.redirect_stderr(io.StringIO()):
            convert.main([str(self.data / "events.ndjson"), "--data", str(self.data), "--month", "2016-01"])
        self.assertEqual([json.loads(line) for line in (self.data / "events.ndjson").read_text().splitlines()], before)
        self.assertEqual(list(self.data.glob("*.part")), [])

    def test_an_event_that_breaks_a_rule_of_sums_is_an_error(self):
        def broken(change):
            event = json.loads(json.dumps(self.convert()[0]))
            change(event["data"])
            with self.assertRaises(convert.ConversionError) as raised:
                convert.Sums().add(event)
            return str(raised.exception)

        cases = {
            "the total is 235, its parts make 234": lambda sale: sale.update(total=235),
            "below zero": lambda sale: sale["lines"][0].update(quantity=-2),
            "the price does not make the amount": lambda sale: sale["lines"][0].update(unit_price=168),
        }
        for problem, change in cases.items():
            with self.subTest(problem):
                self.assertIn(problem, broken(change))

    def test_every_store_of_the_year_is_a_location(self):
        locations = self.data / "locations.toml"
        self.convert("--month", "2017-12", "--locations", str(locations))
        self.assertEqual(
            locations.read_text().split("\n\n")[0],
            '[[locations]]\nid = "store-2"\nname = "Store 2"\ncountry = "US"\ntime_zone = "America/New_York"',
        )
        self.assertEqual(locations.read_text().count("[[locations]]"), 2)


if __name__ == "__main__":
    unittest.main()
