"""Write a Stampcard loyalty rule in Python.

A rule is a module with a function for each role that its manifest names (`segments`, `points`, `tier`,
`follow_ups`), and `configure`. What it may know is in its input; `types` documents every field. This
module asks the input and builds answers, and decides nothing.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any, Callable, Iterable, NoReturn, Optional, TypeVar

from . import types
from .types import *  # noqa: F403
from .types import (
    After,
    Amount_Base,
    Amount_Bonus,
    Amount_BonusShare,
    Award,
    Body_Checkout,
    Body_Exchange,
    Body_Return,
    Body_Review,
    Body_Sale,
    Coverage,
    Coverage_Lines,
    Coverage_Whole,
    Customer,
    DiscountOffer,
    FollowUp,
    FollowUpAnswer,
    Input,
    Line,
    Membership,
    MembershipChange,
    Memory_Forget,
    Memory_Keep,
    Memory_Replace,
    Moment,
    Moment_At,
    Moment_Days,
    Moment_EndOfMonth,
    Moment_EndOfYear,
    Moment_Hours,
    Moment_Months,
    NextReview_At,
    NextReview_Keep,
    NextReview_Never,
    NextTier,
    OnReturn,
    OnReturn_Keep,
    OnReturn_Proportional,
    OnReturn_WholeBelow,
    OriginalSale,
    Placement,
    PointAnswer,
    Prompt,
    Purpose,
    Recipient,
    Return,
    ReturnedLine,
    Review,
    Sale,
    SegmentAnswer,
    TagSetting,
    Tally,
    TierAnswer,
    Totals,
    Value,
)

T = TypeVar("T")

#: Most bytes that a rule may remember about one customer, and keep with one sale.
STATE_BYTES_MAX = 4096
KEPT_BYTES_MAX = 256

#: Milliseconds, for arithmetic with instants: `input.now + 30 * DAY`.
SECOND = 1_000
MINUTE = 60 * SECOND
HOUR = 60 * MINUTE
DAY = 24 * HOUR


class Rejected(Exception):
    """The rule's own no, in a sentence for people. It does not count against the plugin."""


def reject(reason: str) -> NoReturn:
    """The rule's own no. Every other exception is a fault, which counts against the plugin."""
    raise Rejected(reason)


# ---------------------------------------------------------------- what happened


def sale(input: Input) -> Optional[Sale]:
    """The sale, if this event is one. A basket that is not paid yet is not: see `basket`."""
    body = input.event.body
    return body.value if isinstance(body, Body_Sale) else None


def purchase(input: Input) -> Optional[Sale]:
    """What was bought: the sale, or the goods taken in an exchange."""
    body = input.event.body
    return body.value.bought if isinstance(body, Body_Exchange) else sale(input)


def checkout(input: Input) -> Optional[Sale]:
    """The basket at a till or in a cart that is not paid yet."""
    body = input.event.body
    return body.value if isinstance(body, Body_Checkout) else None


def basket(input: Input) -> Optional[Sale]:
    """Paid or not: what was bought, or the basket. Points for a basket are shown and not booked."""
    return purchase(input) or checkout(input)


def returned(input: Input) -> Optional[Return]:
    """What came back: the return, or the goods given in an exchange."""
    body = input.event.body
    if isinstance(body, Body_Exchange):
        return body.value.returned
    return body.value if isinstance(body, Body_Return) else None


def review(input: Input) -> Optional[Review]:
    """The review, if the host asks again without anything having happened."""
    body = input.event.body
    return body.value if isinstance(body, Body_Review) else None


def pieces(lines: Iterable[Line]) -> int:
    """Pieces of these lines; what is weighed or measured is one, however much of it there is."""
    return sum(1 if line.measured else line.quantity // 1_000 for line in lines)


# ---------------------------------------------------------------- the customer


def in_segment(customer: Customer, segment: str) -> Optional[Membership]:
    """The membership, if the customer is in the segment."""
    return next((it for it in customer.segments if it.segment == segment), None)


def consents_to(customer: Customer, purpose: str) -> bool:
    """True if the customer said yes to this purpose. Silence is a no."""
    return any(it.purpose == purpose and it.granted for it in customer.consents)


def tier_now(input: Input) -> Optional[str]:
    """The tier after this event as far as it is decided."""
    change = input.so_far.tier
    if change is not None:
        return change.to
    return input.customer.tier.tier if input.customer.tier else None


def net_spend(tally: Tally) -> int:
    """Spend less what was given back."""
    return tally.spend - tally.returned


def within(totals: Totals, days: int) -> Tally:
    """The tally of the last 7, 30, 90 or 365 days."""
    if days not in (7, 30, 90, 365):
        raise ValueError(f"there are totals of 7, 30, 90 and 365 days, not of {days}")
    tally: Tally = getattr(totals, f"days{days}")
    return tally


def fact(input: Input, scope: str, key: str, days: Optional[int] = None) -> Optional[Tally]:
    """A fact of a group that the manifest asks for, over the whole life or the last `days`."""
    found = (it.tally for it in input.facts if (it.scope, it.key, it.days) == (scope, key, days))
    return next(found, None)


def attribute(record: Any, name: str) -> Optional[str]:
    """An attribute by its name: what later versions add without a new contract."""
    return next((value for key, value in record.attributes if key == name), None)


# ---------------------------------------------------------------- what was remembered


def remembered(input: Input, first: T) -> T:
    """What this plugin remembered about this customer, or `first` if it is the first time."""
    return first if input.state is None else json.loads(bytes(input.state))


def kept(original: OriginalSale, first: T) -> T:
    """What this plugin kept with the sale that comes back, or `first`."""
    return first if original.kept is None else json.loads(bytes(original.kept))


def _json(value: Any, most: int, what: str) -> bytes:
    text = json.dumps(value, separators=(",", ":"), ensure_ascii=False, allow_nan=False, default=vars)
    data = text.encode()
    if len(data) > most:
        raise ValueError(f"{what}: {len(data)} bytes as JSON; at most {most} are kept")
    return data


@dataclass
class StampCard:
    """A stamp card: buy so many, get one."""

    #: Pieces bought less pieces brought back.
    pieces: int = 0
    #: Stamps that were turned into rewards.
    spent: int = 0

    @staticmethod
    def of(input: Input) -> StampCard:
        """The customer's card as it was remembered; an answer with `remember=card` keeps it."""
        first: dict[str, int] = {}
        return StampCard(**remembered(input, first))

    def count(self, input: Input, counts: Callable[[Line], bool]) -> None:
        """Counts the pieces of the lines that `counts` names: bought ones are added, returned ones taken
        back."""
        bought = purchase(input)
        if bought is not None:
            self.pieces += pieces(filter(counts, bought.lines))
        back = returned(input)
        if back is None or back.original is None:
            return
        for line in filter(counts, back.original.sale.lines):
            before = _brought_back(back.original.returned, line)
            after = before + _brought_back(back.lines, line)
            self.pieces -= _gone(line, after) - _gone(line, before)

    def full(self, size: int) -> int:
        """Rewards that are due now for full cards of `size` stamps. They are due once."""
        full = max(self.stamps // size, 0)
        self.spent += full * size
        return full

    @property
    def stamps(self) -> int:
        """Stamps on the card; below zero while the customer owes some after a return."""
        return self.pieces - self.spent


def _brought_back(back: Iterable[ReturnedLine], line: Line) -> int:
    """Thousandths of this line among what was brought back."""
    return sum(it.quantity for it in back if it.line == line.number)


def _gone(line: Line, thousandths: int) -> int:
    """Pieces of this line that are gone when so many thousandths were brought back."""
    return int(thousandths >= line.quantity) if line.measured else thousandths // 1_000


# ---------------------------------------------------------------- answers

#: Stands for "as it was", where `None` says something else.
KEEP: Any = object()


def _after(note: Optional[str], remember: Any, review_at: Any, keep_with_event: Any) -> After:
    memory: Any = Memory_Keep()
    if remember is None:
        memory = Memory_Forget()
    elif remember is not KEEP:
        memory = Memory_Replace(_json(remember, STATE_BYTES_MAX, "remember"))
    next_review: Any = NextReview_Keep()
    if review_at is None:
        next_review = NextReview_Never()
    elif review_at is not KEEP:
        next_review = NextReview_At(review_at)
    with_event = None
    if keep_with_event is not None:
        with_event = _json(keep_with_event, KEPT_BYTES_MAX, "keep_with_event")
    return After(memory, next_review, with_event, note, [])


def _answer(make: Callable[..., T]) -> Callable[..., T]:
    """What every answer can carry beside its decisions.

    `note`: one sentence for whoever asks why, even if nothing was decided. `remember`: what to
    remember about this customer from now on, as JSON; `None` forgets. `review_at`: when to be asked
    again; `None` is never. `keep_with_event`: given back if this sale is returned.
    """

    def build(
        *decisions: Any,
        note: Optional[str] = None,
        remember: Any = KEEP,
        review_at: Any = KEEP,
        keep_with_event: Any = None,
        **named: Any,
    ) -> T:
        return make(_after(note, remember, review_at, keep_with_event), *decisions, **named)

    return build


@_answer
def point_answer(after: After, *awards: Award) -> PointAnswer:
    return PointAnswer(list(awards), after)


@_answer
def segment_answer(after: After, *changes: MembershipChange, tags: Iterable[TagSetting] = ()) -> SegmentAnswer:
    return SegmentAnswer(list(changes), list(tags), after)


@_answer
def tier_answer(after: After, placement: Optional[Placement] = None, next: Optional[NextTier] = None) -> TierAnswer:
    return TierAnswer(placement, next, after)


@_answer
def follow_up_answer(
    after: After,
    *follow_ups: FollowUp,
    prompts: Iterable[Prompt] = (),
    receipt: Iterable[str] = (),
) -> FollowUpAnswer:
    return FollowUpAnswer(list(follow_ups), list(prompts), list(receipt), after)


def _award(
    amount: Any,
    reason: str,
    to: Recipient = Recipient.CUSTOMER,
    covers: Optional[Coverage] = None,
    available_from: Optional[Moment] = None,
    expires_at: Optional[Moment] = None,
    on_return: Optional[OnReturn] = None,
    attributes: Iterable[tuple[str, str]] = (),
) -> Award:
    covers = covers or Coverage_Whole()
    on_return = on_return or OnReturn_Proportional()
    return Award(amount, to, covers, reason, available_from, expires_at, on_return, list(attributes))


def base(points: int, reason: str, **more: Any) -> Award:
    """So many points for the customer, for the whole event, taken back in proportion to returns."""
    return _award(Amount_Base(points), reason, **more)


def bonus(points: int, reason: str, **more: Any) -> Award:
    """The same as an extra on top of the base."""
    return _award(Amount_Bonus(points), reason, **more)


def bonus_share(basis_points: int, reason: str, **more: Any) -> Award:
    """An extra in basis points of the base awards of all plugins: 10,000 doubles them."""
    return _award(Amount_BonusShare(basis_points), reason, **more)


def lines(numbers: Iterable[int]) -> Coverage:
    """These lines, by number: `bonus(5, "coffee", covers=lines([1]))`."""
    return Coverage_Lines(list(numbers))


#: `on_return`: a return takes nothing of the award back.
KEEP_ON_RETURN: OnReturn = OnReturn_Keep()


def whole_below(amount: int) -> OnReturn:
    """`on_return`: takes back all of it as soon as what is left of the sale is below this amount."""
    return OnReturn_WholeBelow(amount)


def enter(segment: str, reason: str, until: Optional[Moment] = None) -> MembershipChange:
    """The customer belongs, until an answer says otherwise or `until` has come."""
    return MembershipChange(segment, True, reason, until)


def leave(segment: str, reason: str) -> MembershipChange:
    """The customer does not belong."""
    return MembershipChange(segment, False, reason, None)


def place(tier: Optional[str], reason: str, keep_until: Optional[Moment] = None) -> Placement:
    """Puts the customer into a tier that the manifest owns; `None` takes the tier away."""
    return Placement(tier, reason, keep_until)


def follow_up(
    channel: str,
    template: str,
    dedupe_key: str,
    reason: str,
    purpose: Purpose = Purpose.MARKETING,
    send_at: Optional[Moment] = None,
    expires_at: Optional[Moment] = None,
    data: Iterable[tuple[str, Value]] = (),
    cancelled_by: Iterable[str] = (),
    offer: Optional[DiscountOffer] = None,
) -> FollowUp:
    """Something to send or to do later, from a template of the shop."""
    return FollowUp(
        channel, template, purpose, send_at, expires_at, list(data), dedupe_key, list(cancelled_by), offer, reason, []
    )


def at(instant: int) -> Moment:
    """At exactly that instant."""
    return Moment_At(instant)


def hours(count: int) -> Moment:
    return Moment_Hours(count)


def days(count: int) -> Moment:
    """The same time of day so many local days later."""
    return Moment_Days(count)


def months(count: int) -> Moment:
    return Moment_Months(count)


def end_of_month(ahead: int = 0) -> Moment:
    """The end of the local month so many months ahead; 0 is the month of the event."""
    return Moment_EndOfMonth(ahead)


def end_of_year(ahead: int = 0) -> Moment:
    return Moment_EndOfYear(ahead)
