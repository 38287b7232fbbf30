# Made of wit/v0.1 by `componentize-py bindings`; do not edit.
"""
Everything that the roles speak of. This interface has types only.
"""
from typing import TypeVar, Generic, Union, Optional, Protocol, Tuple, List, Any, Self, Callable
from types import TracebackType
from enum import Flag, Enum, auto
from dataclasses import dataclass
from abc import abstractmethod
import weakref




@dataclass
class Moment_At:
    value: int


@dataclass
class Moment_Hours:
    value: int


@dataclass
class Moment_Days:
    value: int


@dataclass
class Moment_Months:
    value: int


@dataclass
class Moment_EndOfMonth:
    value: int


@dataclass
class Moment_EndOfYear:
    value: int


Moment = Union[Moment_At, Moment_Hours, Moment_Days, Moment_Months, Moment_EndOfMonth, Moment_EndOfYear]
"""
A later instant, as a rule would say it. The host works it out on the calendar of the event's
location (or of the shop), where a month after 31 January is the last day of February.
"""



@dataclass
class Coverage_Whole:
    pass


@dataclass
class Coverage_Lines:
    value: List[int]


Coverage = Union[Coverage_Whole, Coverage_Lines]
"""
Which lines something is for.
"""


class Channel(Enum):
    POS = 0
    ONLINE = 1
    PHONE = 2
    OTHER = 3

@dataclass
class Place:
    """
    A location of the shop.
    """
    id: str
    name: str
    kind: str
    country: str
    attributes: List[Tuple[str, str]]

@dataclass
class LocalTime:
    """
    A wall clock reading, and the next turns of the calendar as instants, all in the time zone
    of the event's location (or of the shop). Turns that a change of clocks skips or doubles are
    the first instant that exists.
    """
    year: int
    month: int
    day: int
    hour: int
    minute: int
    weekday: int
    utc_offset: int
    day_began: int
    month_began: int
    year_began: int
    next_day: int
    next_month: int
    next_year: int

class PaymentState(Enum):
    PAID = 0
    PENDING = 1

@dataclass
class Order:
    system: str
    id: str

@dataclass
class Line:
    number: int
    sku: Optional[str]
    product: Optional[str]
    variant: Optional[str]
    name: Optional[str]
    category: Optional[str]
    collections: List[str]
    tags: List[str]
    quantity: int
    measured: bool
    unit_price: int
    discount: int
    amount: int
    net: int
    tax: int
    gift_card: bool
    attributes: List[Tuple[str, str]]

@dataclass
class Discount:
    code: Optional[str]
    amount: int

@dataclass
class Tender:
    kind: str
    amount: int

@dataclass
class Sale:
    """
    A sale. The host has checked its sums:
    `total = Σ line amounts − Σ discounts + shipping + tip + rounding + (tax-included ? 0 : tax)`.
    """
    order: Optional[Order]
    origin: Optional[str]
    currency: str
    lines: List[Line]
    discounts: List[Discount]
    shipping: int
    tip: int
    rounding: int
    tax: int
    tax_included: bool
    total: int
    tenders: List[Tender]
    payment: PaymentState
    attributes: List[Tuple[str, str]]

@dataclass
class ReturnedLine:
    line: int
    quantity: int
    amount: int

@dataclass
class ProfileChange:
    """
    The customer was created, identified, enrolled or edited.
    """
    changed: List[str]
    method: Optional[str]

@dataclass
class TagChange:
    tag: str
    added: bool

@dataclass
class Visit:
    count: int


@dataclass
class ReviewCause_Asked:
    pass


@dataclass
class ReviewCause_AskedByOther:
    pass


@dataclass
class ReviewCause_MembershipUntil:
    value: str


@dataclass
class ReviewCause_TierKeepUntil:
    value: str


@dataclass
class ReviewCause_PointsExpired:
    value: int


@dataclass
class ReviewCause_RulesChanged:
    pass


ReviewCause = Union[ReviewCause_Asked, ReviewCause_AskedByOther, ReviewCause_MembershipUntil, ReviewCause_TierKeepUntil, ReviewCause_PointsExpired, ReviewCause_RulesChanged]


@dataclass
class Review:
    causes: List[ReviewCause]

@dataclass
class Membership:
    segment: str
    since: int
    until: Optional[int]

@dataclass
class Standing:
    tier: str
    since: int
    keep_until: Optional[int]

@dataclass
class Consent:
    purpose: str
    granted: bool
    at: int

@dataclass
class ConsentChange:
    consent: Consent

@dataclass
class Birthday:
    """
    A birthday on the shop's own calendar, wherever the event happened.
    """
    month: int
    day: int
    next: int
    today: bool
    known_since: int

@dataclass
class HeldOffer:
    key: str
    code: Optional[str]
    offered_at: int
    valid_until: Optional[int]
    used_at: Optional[int]

@dataclass
class Referral:
    customer: str
    at: int

@dataclass
class Person:
    """
    Who the customer is, in stand-ins: each field that is known and granted holds one character.
    Write it into a receipt line, the text or an attribute of a prompt, or the data of a
    follow-up, and the host puts in what it stands for when that text leaves. No other text may
    hold one. In the cases of a plugin's author the fields hold what the case says.
    """
    given_name: Optional[str]
    family_name: Optional[str]
    email: Optional[str]
    phone: Optional[str]
    address: Optional[str]

@dataclass
class Customer:
    """
    The customer as the shop knows them when this call begins: everything that earlier events
    and earlier steps of this event have done, except the tier and the balance, which are those
    from before this event (see `so-far`).
    """
    id: str
    created_at: int
    enrolled_at: Optional[int]
    origin: str
    tags: List[str]
    segments: List[Membership]
    tier: Optional[Standing]
    balance: int
    available: int
    earned: int
    consents: List[Consent]
    language: Optional[str]
    birthday: Optional[Birthday]
    home_location: Optional[str]
    offers: List[HeldOffer]
    referred_by: Optional[Referral]
    referrals: int
    person: Optional[Person]
    attributes: List[Tuple[str, str]]

@dataclass
class Tally:
    """
    What a customer did within some window or channel. This event is counted already; the points
    that it earns are counted from the tier step on. A return counts when it happens, whenever
    its sale was; an exchange counts as one return and one order.
    """
    orders: int
    spend: int
    returns: int
    returned: int
    earned: int
    first_at: Optional[int]
    last_at: Optional[int]

@dataclass
class Totals:
    """
    The numbers that most rules need. Windows are exact: `days7` is the 7 × 24 hours that end
    with this event; something exactly 7 × 24 hours old is no longer in it.
    """
    lifetime: Tally
    pos: Tally
    online: Tally
    phone: Tally
    other: Tally
    days7: Tally
    days30: Tally
    days90: Tally
    days365: Tally
    this_month: Tally
    this_year: Tally
    last_year: Tally
    largest_sale: int
    previous_sale_at: Optional[int]

@dataclass
class Fact:
    """
    A number of the groups that the manifest asks for (`facts = ["location", "category"]`).
    """
    scope: str
    key: str
    days: Optional[int]
    tally: Tally

@dataclass
class TierChange:
    from_: Optional[str]
    to: Optional[str]
    upgrade: bool
    reason: str


@dataclass
class Memory_Keep:
    pass


@dataclass
class Memory_Replace:
    value: bytes


@dataclass
class Memory_Forget:
    pass


Memory = Union[Memory_Keep, Memory_Replace, Memory_Forget]
"""
What a plugin remembers about this customer from now on.
"""



@dataclass
class NextReview_Keep:
    pass


@dataclass
class NextReview_At:
    value: int


@dataclass
class NextReview_Never:
    pass


NextReview = Union[NextReview_Keep, NextReview_At, NextReview_Never]
"""
When this plugin wants to be asked again about this customer, whatever happens. A `review`
event then goes through the whole line.
"""


@dataclass
class After:
    """
    What every answer carries beside its decisions. A call that is refused, faults or traps
    changes none of it.
    """
    memory: Memory
    next_review: NextReview
    keep_with_event: Optional[bytes]
    note: Optional[str]
    attributes: List[Tuple[str, str]]

@dataclass
class MembershipChange:
    segment: str
    member: bool
    reason: str
    until: Optional[Moment]

@dataclass
class TagSetting:
    tag: str
    set: bool

@dataclass
class SegmentAnswer:
    memberships: List[MembershipChange]
    tags: List[TagSetting]
    after: After


@dataclass
class Amount_Base:
    value: int


@dataclass
class Amount_Bonus:
    value: int


@dataclass
class Amount_BonusShare:
    value: int


Amount = Union[Amount_Base, Amount_Bonus, Amount_BonusShare]
"""
At least nothing: taking back is the host's work.
"""


class AwardKind(Enum):
    BASE = 0
    BONUS = 1

@dataclass
class PastAward:
    kind: AwardKind
    amount: int
    reversed: int
    covers: Coverage
    reason: str
    attributes: List[Tuple[str, str]]

@dataclass
class OriginalSale:
    source: str
    id: str
    occurred_at: int
    local: LocalTime
    channel: Optional[Channel]
    location: Optional[Place]
    sale: Sale
    returned: List[ReturnedLine]
    returned_amount: int
    awards: List[PastAward]
    kept: Optional[bytes]

@dataclass
class Return:
    """
    Goods that came back, or money that was given back.
    """
    original: Optional[OriginalSale]
    amount: int
    lines: List[ReturnedLine]
    attributes: List[Tuple[str, str]]

@dataclass
class Exchange:
    returned: Return
    bought: Sale


@dataclass
class Body_Sale:
    value: Sale


@dataclass
class Body_Return:
    value: Return


@dataclass
class Body_Exchange:
    value: Exchange


@dataclass
class Body_Checkout:
    value: Sale


@dataclass
class Body_Profile:
    value: ProfileChange


@dataclass
class Body_Consent:
    value: ConsentChange


@dataclass
class Body_Tag:
    value: TagChange


@dataclass
class Body_Visit:
    value: Visit


@dataclass
class Body_Review:
    value: Review


@dataclass
class Body_Other:
    value: str


Body = Union[Body_Sale, Body_Return, Body_Exchange, Body_Checkout, Body_Profile, Body_Consent, Body_Tag, Body_Visit, Body_Review, Body_Other]
"""
The part of an event that depends on its kind. Closed for 0.1; kinds that the catalogue
gains later arrive as `other`.
"""


@dataclass
class Event:
    """
    One thing that happened to one customer, as the shop told it.
    """
    source: str
    id: str
    kind: str
    occurred_at: int
    local: LocalTime
    channel: Optional[Channel]
    location: Optional[Place]
    device: Optional[str]
    staff: Optional[str]
    historical: bool
    body: Body
    attributes: List[Tuple[str, str]]

@dataclass
class Earned:
    plugin: str
    kind: AwardKind
    amount: int
    reason: str

class Recipient(Enum):
    CUSTOMER = 0
    REFERRER = 1


@dataclass
class OnReturn_Proportional:
    pass


@dataclass
class OnReturn_WholeBelow:
    value: int


@dataclass
class OnReturn_Keep:
    pass


OnReturn = Union[OnReturn_Proportional, OnReturn_WholeBelow, OnReturn_Keep]
"""
What a return of the goods does to the award.
"""


@dataclass
class Award:
    amount: Amount
    to: Recipient
    covers: Coverage
    reason: str
    available_from: Optional[Moment]
    expires_at: Optional[Moment]
    on_return: OnReturn
    attributes: List[Tuple[str, str]]

@dataclass
class PointAnswer:
    awards: List[Award]
    after: After

@dataclass
class Placement:
    tier: Optional[str]
    reason: str
    keep_until: Optional[Moment]

class ProgressUnit(Enum):
    SPEND = 0
    POINTS = 1
    ORDERS = 2

@dataclass
class NextTier:
    tier: str
    missing: int
    unit: ProgressUnit

@dataclass
class SoFar:
    """
    What this event has decided before this call: the steps before this role, and the plugins
    before this one in the same role. Within the points step `awards` has what earlier formulas
    asked for; shares of the base, caps and the choice of the best come when all have answered,
    and later steps see what is left.
    """
    segments_entered: List[str]
    segments_left: List[str]
    tags_set: List[str]
    tags_cleared: List[str]
    awards: List[Earned]
    points: int
    balance_after: int
    tier: Optional[TierChange]
    next_tier: Optional[NextTier]

@dataclass
class Input:
    """
    What one call is given.
    """
    now: int
    event: Event
    customer: Customer
    totals: Totals
    facts: List[Fact]
    facts_truncated: bool
    state: Optional[bytes]
    so_far: SoFar
    attributes: List[Tuple[str, str]]

@dataclass
class TierAnswer:
    placement: Optional[Placement]
    next: Optional[NextTier]
    after: After

class Purpose(Enum):
    """
    Why somebody is written to.
    """
    MARKETING = 0
    SERVICE = 1


@dataclass
class Value_Text:
    value: str


@dataclass
class Value_Number:
    value: int


@dataclass
class Value_Points:
    value: int


@dataclass
class Value_Money:
    value: int


@dataclass
class Value_At:
    value: int


Value = Union[Value_Text, Value_Number, Value_Points, Value_Money, Value_At]


@dataclass
class Goods:
    """
    Any of these, so many of them.
    """
    skus: List[str]
    categories: List[str]
    collections: List[str]
    quantity: int


@dataclass
class DiscountScope_Basket:
    pass


@dataclass
class DiscountScope_Lines:
    value: List[int]


@dataclass
class DiscountScope_Gift:
    value: Goods


@dataclass
class DiscountScope_NextPurchase:
    pass


@dataclass
class DiscountScope_NextGoods:
    value: Goods


DiscountScope = Union[DiscountScope_Basket, DiscountScope_Lines, DiscountScope_Gift, DiscountScope_NextPurchase, DiscountScope_NextGoods]



@dataclass
class OfferCode_NoCode:
    pass


@dataclass
class OfferCode_Shared:
    value: str


@dataclass
class OfferCode_Unique:
    value: str


OfferCode = Union[OfferCode_NoCode, OfferCode_Shared, OfferCode_Unique]



@dataclass
class DiscountValue_Amount:
    value: int


@dataclass
class DiscountValue_Share:
    value: int


DiscountValue = Union[DiscountValue_Amount, DiscountValue_Share]


@dataclass
class DiscountOffer:
    key: str
    scope: DiscountScope
    value: DiscountValue
    minimum: int
    code: OfferCode
    valid_from: Optional[Moment]
    valid_until: Optional[Moment]
    reason: str
    attributes: List[Tuple[str, str]]

@dataclass
class FollowUp:
    """
    Something to send or to do later. It is planned in the same commit as the event.
    """
    channel: str
    template: str
    purpose: Purpose
    send_at: Optional[Moment]
    expires_at: Optional[Moment]
    data: List[Tuple[str, Value]]
    dedupe_key: str
    cancelled_by: List[str]
    offer: Optional[DiscountOffer]
    reason: str
    attributes: List[Tuple[str, str]]

@dataclass
class Prompt:
    """
    Something for the till to show or to do now.
    """
    kind: str
    text: str
    discount: Optional[DiscountOffer]
    attributes: List[Tuple[str, str]]

@dataclass
class FollowUpAnswer:
    follow_ups: List[FollowUp]
    prompts: List[Prompt]
    receipt: List[str]
    after: After

@dataclass
class Fault:
    message: str
    trace: str


@dataclass
class Refusal_Rejected:
    value: str


@dataclass
class Refusal_Fault:
    value: Fault


Refusal = Union[Refusal_Rejected, Refusal_Fault]


@dataclass
class Shop:
    """
    What a plugin is told about the shop when it is configured.
    """
    currency: str
    minor_units: int
    time_zone: str
    country: str
    language: str
    tiers: List[str]
    attributes: List[Tuple[str, str]]


