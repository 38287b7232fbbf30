// Made of wit/v0.1 by `cargo xtask sdk`; do not edit.

/** Milliseconds since 1970-01-01T00:00:00Z. */
export type Instant = number;

/** Minor units of the shop's currency. */
export type Money = number;

/** Loyalty points. */
export type Points = number;

/**
 * A later instant, as a rule would say it. The host works it out on the calendar of the event's
 * location (or of the shop), where a month after 31 January is the last day of February.
 */
export type Moment =
  | { tag: "at"; val: Instant }
  /** So many hours after the event. */
  | { tag: "hours"; val: number }
  /** The same time of day so many local days later. */
  | { tag: "days"; val: number }
  | { tag: "months"; val: number }
  /**
   * The first instant after the end of the local month that lies so many months ahead; 0 is
   * the month of the event.
   */
  | { tag: "end-of-month"; val: number }
  | { tag: "end-of-year"; val: number };

/** Which lines something is for. */
export type Coverage =
  /** All of the event, lines or not. */
  | { tag: "whole" }
  /** These lines, by number. An empty list is no line at all. */
  | { tag: "lines"; val: number[] };

export type Channel = "pos" | "online" | "phone" | "other";

/** A location of the shop. */
export interface Place {
  id: string;
  /** The name to show to people. */
  name: string;
  /** What the shop calls this kind of place ("store", "pop-up"), empty if nothing. */
  kind: string;
  /** ISO 3166-1 alpha-2. */
  country: string;
  attributes: Array<[string, string]>;
}

/**
 * A wall clock reading, and the next turns of the calendar as instants, all in the time zone
 * of the event's location (or of the shop). Turns that a change of clocks skips or doubles are
 * the first instant that exists.
 */
export interface LocalTime {
  year: number;
  /** 1 to 12. */
  month: number;
  /** 1 to 31. */
  day: number;
  /** 0 to 23. */
  hour: number;
  minute: number;
  /** 1 is Monday, 7 is Sunday (ISO 8601). */
  weekday: number;
  /** Seconds east of UTC. */
  utcOffset: number;
  /** When the present local day, month and year began. */
  dayBegan: Instant;
  monthBegan: Instant;
  yearBegan: Instant;
  /** When the next ones begin. */
  nextDay: Instant;
  nextMonth: Instant;
  nextYear: Instant;
}

export type PaymentState = "paid" | "pending";

export interface Order {
  system: string;
  id: string;
}

export interface Line {
  /** The position in the sale, from 1. Awards name lines by it. */
  number: number;
  sku: string | null;
  product: string | null;
  variant: string | null;
  name: string | null;
  category: string | null;
  collections: string[];
  tags: string[];
  /** Thousandths of a unit: one piece is 1,000; 340 g at a price per kilogram is 340. */
  quantity: number;
  /** True for what is weighed or measured: 2.5 kg of beans are not two and a half pieces. */
  measured: boolean;
  unitPrice: Money;
  /** Taken off this line already. */
  discount: Money;
  /** What this line costs after its own discount. */
  amount: Money;
  /**
   * `amount` less this line's share of the order's discounts, apportioned by largest
   * remainder. The base of most point formulas.
   */
  net: Money;
  /** The tax on this line, where the till tells it. */
  tax: Money;
  /** Selling a gift card is a loan from the customer, not a sale: most formulas skip it. */
  giftCard: boolean;
  attributes: Array<[string, string]>;
}

export interface Discount {
  code: string | null;
  amount: Money;
}

export interface Tender {
  /** "card", "cash", "gift-card", "store-credit", "points", or the till's own word. */
  kind: string;
  amount: Money;
}

/**
 * A sale. The host has checked its sums:
 * `total = Σ line amounts − Σ discounts + shipping + tip + rounding + (tax-included ? 0 : tax)`.
 */
export interface Sale {
  /** The order's own name in the system that took it. */
  order: Order | null;
  /** How the order came about within its channel ("web", "marketplace", "social", "draft"). */
  origin: string | null;
  /** ISO 4217. Amounts are already in the shop's currency, which this is. */
  currency: string;
  lines: Line[];
  /** Discounts on the whole order. Those on a line are in the line. */
  discounts: Discount[];
  shipping: Money;
  tip: Money;
  /** Cash rounding, positive or negative. */
  rounding: Money;
  tax: Money;
  /** True if line amounts contain the tax already. */
  taxIncluded: boolean;
  /** What the customer owes in the end. */
  total: Money;
  /** How it was paid; sums to `total` where given. */
  tenders: Tender[];
  payment: PaymentState;
  attributes: Array<[string, string]>;
}

export interface ReturnedLine {
  /** The position in the original sale, from 1. */
  line: number;
  /** Thousandths of a unit, as in `line`. */
  quantity: number;
  /** Given back for it, as a positive number. */
  amount: Money;
}

/** The customer was created, identified, enrolled or edited. */
export interface ProfileChange {
  /**
   * The names of the fields that this event set or cleared. Values that are not personal are
   * in `customer`.
   */
  changed: string[];
  /** How a customer was recognised ("login", "card", "receipt"), if the event says so. */
  method: string | null;
}

export interface TagChange {
  tag: string;
  /** True if it was added, false if it was removed. */
  added: boolean;
}

export interface Visit {
  /** How many people, for a counter at a door. */
  count: number;
}

export type ReviewCause =
  /** This plugin asked for it with `next-review`. */
  | { tag: "asked" }
  /** Another plugin did. */
  | { tag: "asked-by-other" }
  /** The `until` of a membership has come; it has ended already. The segment's key. */
  | { tag: "membership-until"; val: string }
  /** The keep-until of the tier has come; the customer still holds it. The tier's key. */
  | { tag: "tier-keep-until"; val: string }
  /** So many points have expired. */
  | { tag: "points-expired"; val: Points }
  /** The rules changed and every customer they can affect is asked again. */
  | { tag: "rules-changed" };

export interface Review {
  /** Why the host asks again, as far as it concerns the plugin that is called. */
  causes: ReviewCause[];
}

export interface Membership {
  segment: string;
  since: Instant;
  until: Instant | null;
}

export interface Standing {
  tier: string;
  since: Instant;
  keepUntil: Instant | null;
}

export interface Consent {
  /** "email", "sms", "push", "post", "phone", "profiling". */
  purpose: string;
  granted: boolean;
  /** When the customer said so. */
  at: Instant;
}

export interface ConsentChange {
  consent: Consent;
}

/** A birthday on the shop's own calendar, wherever the event happened. */
export interface Birthday {
  month: number;
  day: number;
  /**
   * The first instant of the customer's next birthday after this event. Somebody born on
   * 29 February has it on 28 February in other years.
   */
  next: Instant;
  /** True if today is the birthday. */
  today: boolean;
  /** Since when the shop knows it: one that was set this morning deserves a second look. */
  knownSince: Instant;
}

export interface HeldOffer {
  key: string;
  code: string | null;
  offeredAt: Instant;
  validUntil: Instant | null;
  /** When a sale carried its code. */
  usedAt: Instant | null;
}

export interface Referral {
  /** The opaque id of the customer who referred. */
  customer: string;
  at: Instant;
}

/**
 * Who the customer is, in stand-ins: each field that is known and granted holds one character.
 * Write it into a receipt line, the text or an attribute of a prompt, or the data of a
 * follow-up, and the host puts in what it stands for when that text leaves. No other text may
 * hold one. In the cases of a plugin's author the fields hold what the case says.
 */
export interface Person {
  givenName: string | null;
  familyName: string | null;
  email: string | null;
  phone: string | null;
  address: string | null;
}

/**
 * The customer as the shop knows them when this call begins: everything that earlier events
 * and earlier steps of this event have done, except the tier and the balance, which are those
 * from before this event (see `so-far`).
 */
export interface Customer {
  /** Opaque and stable. */
  id: string;
  createdAt: Instant;
  /** When they joined the programme; none for a customer who has only bought. */
  enrolledAt: Instant | null;
  /** Where the profile came from: "pos", "online", "manual", "import". */
  origin: string;
  tags: string[];
  segments: Membership[];
  tier: Standing | null;
  /** The sum of all ledger entries. */
  balance: Points;
  /** What can be spent now. */
  available: Points;
  /** Everything ever earned, net of reversals, whatever was spent or has expired since. */
  earned: Points;
  consents: Consent[];
  /** BCP 47. */
  language: string | null;
  birthday: Birthday | null;
  /** The id of the location that the customer prefers. */
  homeLocation: string | null;
  /** Discounts offered to this customer before, newest first, at most 32. */
  offers: HeldOffer[];
  /** Who referred them, and how many they referred themselves. */
  referredBy: Referral | null;
  referrals: number;
  /** Only if the manifest asks for it and the operator granted it. */
  person: Person | null;
  attributes: Array<[string, string]>;
}

/**
 * What a customer did within some window or channel. This event is counted already; the points
 * that it earns are counted from the tier step on. A return counts when it happens, whenever
 * its sale was; an exchange counts as one return and one order.
 */
export interface Tally {
  /** Sales. */
  orders: number;
  /** The totals of those sales. */
  spend: Money;
  /** Returns. */
  returns: number;
  /** Given back in those returns, as a positive number. */
  returned: Money;
  /** Points earned, net of what returns took back. */
  earned: Points;
  /** The first and the last sale. */
  firstAt: Instant | null;
  lastAt: Instant | null;
}

/**
 * The numbers that most rules need. Windows are exact: `days7` is the 7 × 24 hours that end
 * with this event; something exactly 7 × 24 hours old is no longer in it.
 */
export interface Totals {
  lifetime: Tally;
  pos: Tally;
  online: Tally;
  phone: Tally;
  other: Tally;
  days7: Tally;
  days30: Tally;
  days90: Tally;
  days365: Tally;
  /** The local month and year of the event on the shop's calendar, and the year before. */
  thisMonth: Tally;
  thisYear: Tally;
  lastYear: Tally;
  /** The largest total of one sale so far that was not returned. */
  largestSale: Money;
  /** The last sale before this event. */
  previousSaleAt: Instant | null;
}

/** A number of the groups that the manifest asks for (`facts = ["location", "category"]`). */
export interface Fact {
  /** "location", "category", "collection", "product", "tag", "staff". */
  scope: string;
  /** The location's id, the category's name … */
  key: string;
  /** How many days back; none is the whole life. */
  days: number | null;
  /**
   * For scopes below the sale, `spend` is of the lines (`net`) and `orders` the sales that
   * had such a line.
   */
  tally: Tally;
}

export interface TierChange {
  from: string | null;
  /** None if the tier was taken away. */
  to: string | null;
  /** True if the shop ranks `to` above `from`. */
  upgrade: boolean;
  reason: string;
}

export interface MembershipChange {
  /** A segment that this plugin's manifest owns. */
  segment: string;
  member: boolean;
  /** One sentence that a shop assistant could read out. */
  reason: string;
  /**
   * The host ends the membership then by itself; none, also for one that had an end, is for
   * good. Only with `member = true`.
   */
  until?: Moment | null;
}

export interface TagSetting {
  /** A tag that this plugin's manifest registers. */
  tag: string;
  set: boolean;
}

export interface SegmentAnswer extends After {
  /** Segments that are not named stay as they are. */
  memberships?: MembershipChange[];
  tags?: TagSetting[];
}

/** At least nothing: taking back is the host's work. */
export type Amount =
  | { tag: "base"; val: Points }
  | { tag: "bonus"; val: Points }
  /**
   * A bonus of so many basis points of what all plugins award as `base` for what this covers:
   * 10,000 gives the base once more, 5,000 half of it. Rounded down once. Shares add up and do
   * not compound.
   */
  | { tag: "bonus-share"; val: number };

export type AwardKind = "base" | "bonus";

export interface PastAward {
  kind: AwardKind;
  amount: Points;
  reversed: Points;
  covers: Coverage;
  reason: string;
  attributes: Array<[string, string]>;
}

export interface OriginalSale {
  source: string;
  id: string;
  occurredAt: Instant;
  local: LocalTime;
  channel: Channel | null;
  location: Place | null;
  sale: Sale;
  /** What earlier returns took back of it already. */
  returned: ReturnedLine[];
  returnedAmount: Money;
  /** What this plugin awarded for that sale, and what of it was taken back already. */
  awards: PastAward[];
  /** What this plugin asked to keep with that sale (`keep-with-event`). */
  kept: Uint8Array | null;
}

/** Goods that came back, or money that was given back. */
export interface Return {
  /** The sale that it takes back, if known: its own lines and sums, unchanged. */
  original: OriginalSale | null;
  /** Given back to the customer, as a positive number. */
  amount: Money;
  lines: ReturnedLine[];
  attributes: Array<[string, string]>;
}

export interface Exchange {
  returned: Return;
  bought: Sale;
}

/**
 * The part of an event that depends on its kind. Closed for 0.1; kinds that the catalogue
 * gains later arrive as `other`.
 */
export type Body =
  | { tag: "sale"; val: Sale }
  /**
   * Also a sale that was voided or whose payment failed: all its lines come back. An order that
   * was edited is not shown as such: the host decides the edited sale in place of the first one.
   */
  | { tag: "return"; val: Return }
  | { tag: "exchange"; val: Exchange }
  /**
   * A basket that is not paid yet: prompts and discounts may still change it. What formulas
   * award for it is shown in `so-far` ("you will earn 79 points") and not booked, and what
   * they want to remember is not kept.
   */
  | { tag: "checkout"; val: Sale }
  | { tag: "profile"; val: ProfileChange }
  | { tag: "consent"; val: ConsentChange }
  | { tag: "tag"; val: TagChange }
  | { tag: "visit"; val: Visit }
  /** A time that a plugin asked for (`next-review`), or that the host keeps, has come. */
  | { tag: "review"; val: Review }
  /** The event's `data` as JSON, for every other kind. The catalogue has its schema. */
  | { tag: "other"; val: string };

/** One thing that happened to one customer, as the shop told it. */
export interface Event {
  /** The system that sent it; with `id` it names the event for ever. */
  source: string;
  id: string;
  /** What happened, by its name in the catalogue: "sale.completed", "review.due", "x.attended". */
  kind: string;
  /** When it happened. It is also the `now` of the call. */
  occurredAt: Instant;
  /** The same instant on the wall of the event's location, or of the shop where it has none. */
  local: LocalTime;
  /** Where it came in. None for what has no channel, such as a review. */
  channel: Channel | null;
  /** The shop location, if the event has one. */
  location: Place | null;
  /** Till or terminal. */
  device: string | null;
  /** The member of staff who served or acted, as an opaque id. */
  staff: string | null;
  /**
   * True for events from an import. They move facts, segments, points and tiers; the host
   * sends no messages because of them.
   */
  historical: boolean;
  body: Body;
  /** What later versions add without a new contract. Unknown keys are to be ignored. */
  attributes: Array<[string, string]>;
}

export interface Earned {
  plugin: string;
  kind: AwardKind;
  amount: Points;
  reason: string;
}

export type Recipient = "customer" | "referrer";

/** What a return of the goods does to the award. */
export type OnReturn =
  /** Takes back the share of the lines that came back. */
  | { tag: "proportional" }
  /** Takes back all of it as soon as what is left of the sale is below this amount. */
  | { tag: "whole-below"; val: Money }
  /** Takes back nothing. */
  | { tag: "keep" };

export interface Award {
  amount: Amount;
  to?: Recipient;
  /** What it is for. It is apportioned to these lines by their `net`, for returns. */
  covers?: Coverage;
  /** One sentence for the receipt and the ledger ("1 point per dollar"). */
  reason: string;
  /** From when it can be spent; none is at once. */
  availableFrom?: Moment | null;
  expiresAt?: Moment | null;
  onReturn?: OnReturn;
  attributes?: Array<[string, string]>;
}

export interface PointAnswer extends After {
  awards?: Award[];
}

export interface Placement {
  /** A tier of the shop, owned by this plugin's manifest; none takes the tier away. */
  tier?: string | null;
  reason: string;
  /** The tier is kept at least until then; the host asks again at that instant. */
  keepUntil?: Moment | null;
}

export type ProgressUnit = "spend" | "points" | "orders";

export interface NextTier {
  tier: string;
  /** Minor units, points or orders, as `unit` says. Above zero. */
  missing: number;
  unit: ProgressUnit;
}

/**
 * What this event has decided before this call: the steps before this role, and the plugins
 * before this one in the same role. Within the points step `awards` has what earlier formulas
 * asked for; shares of the base, caps and the choice of the best come when all have answered,
 * and later steps see what is left.
 */
export interface SoFar {
  segmentsEntered: string[];
  segmentsLeft: string[];
  tagsSet: string[];
  tagsCleared: string[];
  awards: Earned[];
  /** The sum of `awards`. */
  points: Points;
  /** The balance with them. */
  balanceAfter: Points;
  tier: TierChange | null;
  /** What is missing for the next tier, if the tier rule said so. */
  nextTier: NextTier | null;
}

/** What one call is given. */
export interface Input {
  /** The time of the event: the only clock there is. */
  now: Instant;
  event: Event;
  customer: Customer;
  totals: Totals;
  /** At most 64, the ones that this event touched first, then the most recent. */
  facts: Fact[];
  /** True if there were more. */
  factsTruncated: boolean;
  /** What this plugin remembered about this customer, if anything. At most 4 KiB. */
  state: Uint8Array | null;
  soFar: SoFar;
  attributes: Array<[string, string]>;
}

export interface TierAnswer extends After {
  /** None leaves the tier, and its keep-until, as they are. */
  placement?: Placement | null;
  /** For receipts and progress bars. */
  next?: NextTier | null;
}

/** Why somebody is written to. */
export type Purpose = "marketing" | "service";

export type Value =
  | { tag: "text"; val: string }
  | { tag: "number"; val: number }
  | { tag: "points"; val: Points }
  | { tag: "money"; val: Money }
  | { tag: "at"; val: Instant };

/** Any of these, so many of them. */
export interface Goods {
  skus: string[];
  categories: string[];
  collections: string[];
  /** Thousandths of a unit, as in `line`. */
  quantity: number;
}

export type DiscountScope =
  /** This basket. */
  | { tag: "basket" }
  /** Lines of this basket, by number. */
  | { tag: "lines"; val: number[] }
  /** Something that is put into this basket for it. */
  | { tag: "gift"; val: Goods }
  /** A later purchase, all of it. */
  | { tag: "next-purchase" }
  /** Something in a later purchase. */
  | { tag: "next-goods"; val: Goods };

export type OfferCode =
  | { tag: "no-code" }
  /** The same for everybody. */
  | { tag: "shared"; val: string }
  /** The host makes one that nobody can guess, with this in front; good once. */
  | { tag: "unique"; val: string };

export type DiscountValue =
  | { tag: "amount"; val: Money }
  /** Basis points of the scope's amount: 1,000 is 10 %. */
  | { tag: "share"; val: number };

export interface DiscountOffer {
  /**
   * Names the offer for the plugin that made it; the same key for the same customer is the same
   * offer.
   */
  key: string;
  scope?: DiscountScope;
  value: DiscountValue;
  /** The basket must come to at least this; 0 for any. */
  minimum?: Money;
  code?: OfferCode;
  /** From when and until when it is good; none is at once and for ever. */
  validFrom?: Moment | null;
  validUntil?: Moment | null;
  reason: string;
  attributes?: Array<[string, string]>;
}

/** Something to send or to do later. It is planned in the same commit as the event. */
export interface FollowUp {
  /** "email", "sms", "push", "post", "phone", "task", or a channel that the shop has configured. */
  channel: string;
  /** The template's name; the text is the shop's. */
  template: string;
  purpose: Purpose;
  /** None is at once. */
  sendAt?: Moment | null;
  /** Not sent after this. */
  expiresAt?: Moment | null;
  /**
   * What the template needs. The host writes numbers, money and dates in the customer's
   * language.
   */
  data?: Array<[string, Value]>;
  /**
   * A second follow-up of this plugin and customer with the same key is not planned, whether
   * the first was sent or not.
   */
  dedupeKey: string;
  /** Kinds of events of this customer that cancel it while it is not sent. */
  cancelledBy?: string[];
  /** A code to go with it, which the template shows. */
  offer?: DiscountOffer | null;
  reason: string;
  attributes?: Array<[string, string]>;
}

/** Something for the till to show or to do now. */
export interface Prompt {
  /** "discount", "enrol", "task", "message", or the shop's own word. */
  kind: string;
  /** At most 200 characters. */
  text: string;
  discount?: DiscountOffer | null;
  attributes?: Array<[string, string]>;
}

export interface FollowUpAnswer extends After {
  followUps?: FollowUp[];
  prompts?: Prompt[];
  /** Lines for the receipt, at most 80 characters each. */
  receipt?: string[];
}

/** What a plugin is told about the shop when it is configured. */
export interface Shop {
  /** ISO 4217. */
  currency: string;
  /** Minor units in one whole unit: 100 for USD, 1 for JPY, 1,000 for KWD. */
  minorUnits: number;
  /** IANA name. Local times come ready-made in `event.local`. */
  timeZone: string;
  /** ISO 3166-1 alpha-2. */
  country: string;
  /** BCP 47; the language of customers who have told none. */
  language: string;
  /** The shop's tiers from the lowest to the highest. */
  tiers: string[];
  attributes: Array<[string, string]>;
}

/** What every answer can carry beside its decisions. */
export interface After {
  /** One sentence for whoever asks why, even if nothing was decided. */
  note?: string | null;
  /** What to remember about this customer from now on, as JSON of at most 4 KiB; `null` forgets. Left out, all stays as it was. */
  remember?: unknown;
  /** When to be asked again, whatever happens; `null` is never. Left out, all stays as it was. */
  reviewAt?: Instant | null;
  /** At most 256 bytes of JSON, given back if this sale is returned. */
  keepWithEvent?: unknown;
}
