// The types of what an author imports. Those of the contract are in contract.d.ts.

import type {
  Award,
  Coverage,
  Customer,
  FollowUpAnswer,
  Input,
  Instant,
  Line,
  MembershipChange,
  Moment,
  Money,
  OnReturn,
  OriginalSale,
  Placement,
  PointAnswer,
  Points,
  Return,
  Review,
  Sale,
  SegmentAnswer,
  Shop,
  Tally,
  TierAnswer,
  Totals,
  Value,
  Membership,
} from "./contract.js";

export type * from "./contract.js";

/**
 * A rule. `Config` is what the operator sets in the manifest's `[config]`, checked against its
 * schema; `Made` is what `configure` makes of it, and each question gets it as its second argument.
 *
 * Each call starts in a fresh instance, so what is kept in variables is gone afterwards: see
 * `remembered`. A role is exported if the manifest names it.
 */
export interface Rule<Config = any, Made = Config> {
  /** What is refused here with `throw reject("…")` is not loaded, and what was live stays live. */
  configure?(config: Config, shop: Shop): Made;
  /** Memberships and tags to change. What is not named stays as it is. */
  segments?(input: Input, made: Made): SegmentAnswer | void;
  /** The awards for this event. */
  points?(input: Input, made: Made): PointAnswer | void;
  /** The tier to be in, or no change. */
  tier?(input: Input, made: Made): TierAnswer | void;
  /** Messages and tasks, prompts for the till, lines for the receipt. */
  followUps?(input: Input, made: Made): FollowUpAnswer | void;
}

/**
 * What a rule that is one file says of itself: `export const manifest = { … }`. It is read without running
 * the file, so it holds plain values. More keys are those of a plugin's manifest.
 */
export interface Manifest {
  /** What the rule decides; it has a function for each. */
  roles: ("segment-rule" | "point-formula" | "tier-rule" | "follow-up-trigger")[];
  /** The kinds of events that it is asked about, such as `sale.completed`; `*` is every kind. */
  events: string[];
  /** That of the file, if none is written. */
  name?: string;
  /** It follows from the text, if none is written. */
  version?: string;
  /** The JSON Schema of what the shop sets in `NAME.toml`. */
  configuration?: object;
  [key: string]: unknown;
}

/** A rule, as it is given: this only tells the editor what it is. */
export function rule<Config = any, Made = Config>(rule: Rule<Config, Made>): Rule<Config, Made>;

/** The rule's own no. */
export class Rejected extends Error {}
/** For `throw reject("…")`: the rule's own no, in a sentence for people. It does not count against the plugin. */
export function reject(reason: string): Rejected;

/** The sale, if this event is one. A basket that is not paid yet is not: see `basket`. */
export function sale(input: Input): Sale | null;
/** What was bought: the sale, or the goods taken in an exchange. */
export function purchase(input: Input): Sale | null;
/** The basket at a till or in a cart that is not paid yet. */
export function checkout(input: Input): Sale | null;
/** Paid or not: what was bought, or the basket. Points for a basket are shown and not booked. */
export function basket(input: Input): Sale | null;
/** What came back: the return, or the goods given in an exchange. */
export function returned(input: Input): Return | null;
/** The review, if the host asks again without anything having happened. */
export function review(input: Input): Review | null;
/** The goods of a sale after all discounts. */
export function goods(sale: Sale): Money;
/** Pieces of these lines; what is weighed or measured is one, however much of it there is. */
export function pieces(lines: Line[]): number;

export function hasTag(customerOrLine: { tags: string[] }, tag: string): boolean;
/** The membership, if the customer is in the segment. */
export function inSegment(customer: Customer, segment: string): Membership | null;
/** True if the customer said yes to this purpose. Silence is a no. */
export function consentsTo(customer: Customer, purpose: string): boolean;
/** The tier after this event as far as it is decided. */
export function tierNow(input: Input): string | null;
/** Spend less what was given back. */
export function netSpend(tally: Tally): Money;
/** The tally of the last 7, 30, 90 or 365 days. */
export function within(totals: Totals, days: number): Tally;
/** A fact of a group that the manifest asks for, over the whole life or the last `days`. */
export function fact(input: Input, scope: string, key: string, days?: number | null): Tally | null;
/** An attribute by its name: what later versions add without a new contract. */
export function attribute(record: { attributes: Array<[string, string]> }, name: string): string | null;

/** What this plugin remembered about this customer (`remember` of an answer), or `first`. */
export function remembered<T>(input: Input, first: T): T;
/** What this plugin kept with the sale that comes back (`keepWithEvent` of an answer), or `first`. */
export function kept<T>(original: OriginalSale, first: T): T;

/** A stamp card: buy so many, get one. */
export class StampCard {
  constructor(card?: { pieces?: number; spent?: number });
  /** The customer's card as it was remembered; an answer with `remember: card` keeps it. */
  static of(input: Input): StampCard;
  /** Pieces bought less pieces brought back. */
  pieces: number;
  /** Stamps that were turned into rewards. */
  spent: number;
  /** Stamps on the card; below zero while the customer owes some after a return. */
  readonly stamps: number;
  /** Counts the pieces of the lines that `counts` names: bought ones are added, returned ones taken back. */
  count(input: Input, counts: (line: Line) => boolean): void;
  /** Rewards that are due now for full cards of `size` stamps. They are due once. */
  full(size: number): number;
}

type More = Partial<Omit<Award, "amount" | "reason">>;
/** So many points for the customer, for the whole event, taken back in proportion to returns. */
export function base(points: Points, reason: string, more?: More): Award;
/** The same as an extra on top of the base. */
export function bonus(points: Points, reason: string, more?: More): Award;
/** An extra in basis points of the base awards of all plugins: 10,000 doubles them. */
export function bonusShare(basisPoints: number, reason: string, more?: More): Award;
/** These lines, by number: `bonus(5, "coffee", { covers: lines([1]) })`. */
export function lines(numbers: number[]): Coverage;
/** `onReturn`: a return takes nothing of the award back. */
export const keepOnReturn: OnReturn;
/** `onReturn`: takes back all of it as soon as what is left of the sale is below this amount. */
export function wholeBelow(amount: Money): OnReturn;

/** The customer belongs, until an answer says otherwise or `until` has come. */
export function enter(segment: string, reason: string, until?: Moment | null): MembershipChange;
/** The customer does not belong. */
export function leave(segment: string, reason: string): MembershipChange;
/** Puts the customer into a tier that the manifest owns; `null` takes the tier away. */
export function place(tier: string | null, reason: string, keepUntil?: Moment | null): Placement;

/** At exactly that instant. */
export function at(instant: Instant): Moment & Value;
export function hours(count: number): Moment;
/** The same time of day so many local days later. */
export function days(count: number): Moment;
export function months(count: number): Moment;
/** The end of the local month so many months ahead; 0 is the month of the event. */
export function endOfMonth(ahead?: number): Moment;
export function endOfYear(ahead?: number): Moment;

/** What a template is given; the host writes it in the customer's language. */
export function text(text: string): Value;
export function number(number: number): Value;
export function points(points: Points): Value;
export function money(amount: Money): Value;

/** The plugin's log. Lines carry the plugin and the event by themselves. */
declare global {
  var console: {
    debug(...words: unknown[]): void;
    log(...words: unknown[]): void;
    info(...words: unknown[]): void;
    warn(...words: unknown[]): void;
    error(...words: unknown[]): void;
  };
}
