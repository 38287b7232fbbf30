"""A day at a till, through a client that was generated from /openapi.json and from nothing else.

    python3 till.py ADDRESS KEY

Exits with 0 if everything was answered as the description's own types have it."""

import sys
import uuid
from datetime import datetime, timezone

from stampcard_client import AuthenticatedClient
from stampcard_client.api.customers import edit_customer, find_customers, read_customer, read_ledger
from stampcard_client.api.events import preview_event, read_event, send_events
from stampcard_client.api.rules import list_members, list_plugins, read_catalogue
from stampcard_client.api.server import read_readiness
from stampcard_client.models import (
    Channel,
    CustomerData,
    CustomerEdit,
    Event,
    LineData,
    Outcome,
    Problem,
    SaleData,
)

address, key = sys.argv[1:]
client = AuthenticatedClient(base_url=address, token=key, raise_on_unexpected_status=True)


def sale(name, total, **customer):
    data = SaleData(
        channel=Channel.POS,
        location="soho",
        currency="USD",
        total=total,
        lines=[LineData(sku="GOODS", amount=total)],
        customer=CustomerData(**customer),
    )
    return Event(
        specversion="1.0",
        source="generated",
        id=name,
        type_="sale.completed",
        time=datetime.now(timezone.utc),
        data=data,
    )


def is_a(kind, answer):
    assert isinstance(answer, kind), f"{answer!r} is no {kind.__name__}"
    return answer


who = f"{uuid.uuid4().hex}@example.com"
first = sale("first", 60_000, email=who)

preview = is_a(Outcome, preview_event.sync(client=client, body=first))
assert preview.points[0].amount == 600, preview

outcome = is_a(Outcome, send_events.sync(client=client, body=first))
assert outcome.status == "applied" and outcome.points[0].amount == 600, outcome
assert "vip" in outcome.customer.segments, outcome
again = is_a(Outcome, send_events.sync(client=client, body=first))
assert again.status == "duplicate", again

second, wrong = sale("second", 1_000, email=who), sale("wrong", 1_000, email=who)
wrong.data.total = 999
both = send_events.sync(client=client, body=[second, wrong])
assert is_a(Outcome, both[0]).status == "applied"
assert is_a(Problem, both[1]).code == "sum", both[1]

found = find_customers.sync(client=client, email=who)
assert [customer.balance for customer in found.items] == [610], found
id = found.items[0].id
customer = read_customer.sync(id, client=client)
assert customer.orders == 2 and customer.spend == 61_000, customer

detailed = read_customer.sync_detailed(id, client=client)
edit = CustomerEdit(given_name="Ana")
edited = edit_customer.sync(id, client=client, body=edit, if_match=detailed.headers["etag"])
assert edited.given_name == "Ana", edited
late = edit_customer.sync_detailed(id, client=client, body=edit, if_match=detailed.headers["etag"])
assert late.status_code == 412 and is_a(Problem, late.parsed).additional_properties["current"]

entries, cursor = [], None
while True:
    paging = {"limit": 1} if cursor is None else {"limit": 1, "cursor": cursor}
    page = read_ledger.sync(id, client=client, **paging)
    entries += [entry.amount for entry in page.items]
    if not page.next_:
        break
    cursor = page.next_
assert entries == [10, 600], entries

record = read_event.sync(client=client, source="generated", id="first")
calls = record.explanation[0].calls
assert {call.status for call in calls} == {"ok"} and len(calls) >= 3, record
assert any(member.customer == id for member in list_members.sync("vip", client=client).items)
assert {plugin.name for plugin in list_plugins.sync(client=client).plugins} >= {"starter-points"}
assert any(kind.name == "sale.completed" for kind in read_catalogue.sync(client=client).kinds)
assert read_readiness.sync(client=client).status == "ready"

unknown = read_customer.sync_detailed("cus_nobody", client=client)
assert unknown.status_code == 404 and is_a(Problem, unknown.parsed).code == "no-such-customer"
print("the generated client did a day's work")
