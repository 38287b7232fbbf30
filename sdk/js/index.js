// What an author imports. Nothing here decides; it asks the input and builds answers.

/** A rule, as it is given: this only tells the editor what it is. */
export const rule = (it) => it;

/** The rule's own no, in a sentence for people. It does not count against the plugin. */
export class Rejected extends Error {}

/** For `throw reject("…")`. */
export const reject = (reason) => new Rejected(reason);

// ------------------------------------------------------------------ what happened

const body = (input, ...tags) =>
  tags.includes(input.event.body.tag) ? input.event.body.val : null;

/** The sale, if this event is one. A basket that is not paid yet is not: see `basket`. */
export const sale = (input) => body(input, "sale");

/** What was bought: the sale, or the goods taken in an exchange. */
export const purchase = (input) => sale(input) ?? body(input, "exchange")?.bought ?? null;

/** The basket at a till or in a cart that is not paid yet. */
export const checkout = (input) => body(input, "checkout");

/** Paid or not: what was bought, or the basket. */
export const basket = (input) => purchase(input) ?? checkout(input);

/** What came back: the return, or the goods given in an exchange. */
export const returned = (input) => body(input, "return") ?? body(input, "exchange")?.returned ?? null;

/** The review, if the host asks again without anything having happened. */
export const review = (input) => body(input, "review");

/** The goods of a sale after all discounts: the sum of `net`. */
export const goods = (sale) => sale.lines.reduce((sum, line) => sum + line.net, 0);

/** Pieces of these lines; what is weighed or measured is one, however much of it there is. */
export const pieces = (lines) =>
  lines.reduce((sum, line) => sum + (line.measured ? 1 : Math.trunc(line.quantity / 1000)), 0);

// ------------------------------------------------------------------ the customer

export const hasTag = (customerOrLine, tag) => customerOrLine.tags.includes(tag);

/** The membership, with since when and until when. */
export const inSegment = (customer, segment) =>
  customer.segments.find((it) => it.segment === segment) ?? null;

/** True if the customer said yes to this purpose. Silence is a no. */
export const consentsTo = (customer, purpose) =>
  customer.consents.some((it) => it.purpose === purpose && it.granted);

/** The tier after this event as far as it is decided: the new one if there is one, else the one before. */
export const tierNow = (input) =>
  input.soFar.tier ? input.soFar.tier.to : (input.customer.tier?.tier ?? null);

/** Spend less what was given back. */
export const netSpend = (tally) => tally.spend - tally.returned;

/** The tally of the last 7, 30, 90 or 365 days. */
export const within = (totals, days) => {
  const tally = { 7: totals.days7, 30: totals.days30, 90: totals.days90, 365: totals.days365 }[days];
  if (!tally) throw new Error(`there are totals of 7, 30, 90 and 365 days, not of ${days}`);
  return tally;
};

/** A fact over the customer's whole life, or over the last `days`. */
export const fact = (input, scope, key, days = null) =>
  input.facts.find((it) => it.scope === scope && it.key === key && it.days === days)?.tally ?? null;

/** An attribute by its name: what later versions add without a new contract. */
export const attribute = (record, name) =>
  record.attributes.find(([key]) => key === name)?.[1] ?? null;

// ------------------------------------------------------------------ what was remembered

/** What this plugin remembered about this customer, or `first` if it is the first time. */
export const remembered = (input, first) => read(input.state, first);

/** What this plugin kept with the sale that comes back. */
export const kept = (original, first) => read(original.kept, first);

const read = (bytes, first) => (bytes == null ? first : JSON.parse(fromUtf8(bytes)));

/** A stamp card: buy so many, get one. */
export class StampCard {
  constructor({ pieces = 0, spent = 0 } = {}) {
    /** Pieces bought less pieces brought back. */
    this.pieces = pieces;
    /** Stamps that were turned into rewards. */
    this.spent = spent;
  }

  /** The customer's card as it was remembered; an answer with `remember: card` keeps it. */
  static of(input) {
    return new StampCard(remembered(input));
  }

  /** Counts the pieces of the lines that `counts` names: bought ones are added, returned ones taken back. */
  count(input, counts) {
    const bought = purchase(input);
    if (bought) this.pieces += pieces(bought.lines.filter(counts));
    const back = returned(input);
    const original = back?.original;
    for (const line of original?.sale.lines.filter(counts) ?? []) {
      const before = broughtBack(original.returned, line);
      const after = before + broughtBack(back.lines, line);
      this.pieces -= gone(line, after) - gone(line, before);
    }
  }

  /** Rewards that are due now for full cards of `size` stamps. They are due once. */
  full(size) {
    const full = Math.max(Math.trunc(this.stamps / size), 0);
    this.spent += full * size;
    return full;
  }

  /** Stamps on the card; below zero while the customer owes some after a return. */
  get stamps() {
    return this.pieces - this.spent;
  }
}

/** Thousandths of this line among what was brought back. */
const broughtBack = (back, line) =>
  back.reduce((sum, it) => (it.line === line.number ? sum + it.quantity : sum), 0);

/** Pieces of this line that are gone when so many thousandths were brought back. */
const gone = (line, thousandths) =>
  line.measured ? Number(thousandths >= line.quantity) : Math.trunc(thousandths / 1000);

// QuickJS has no TextEncoder. What is remembered may have 4 KiB, and a loop over them would take most of
// the fuel of a call, so these are made of what is there in native code.

export const toUtf8 = (text) => Uint8Array.fromBase64(btoa(unescape(encodeURIComponent(text))));

export const fromUtf8 = (bytes) => decodeURIComponent(escape(atob(bytes.toBase64())));

// ------------------------------------------------------------------ answers

const award = (tag, val, reason, more) => ({ amount: { tag, val }, reason, ...more });

/** So many points for the customer, for the whole event, taken back in proportion to returns. */
export const base = (points, reason, more) => award("base", points, reason, more);

/** The same as an extra on top of the base. */
export const bonus = (points, reason, more) => award("bonus", points, reason, more);

/** An extra in basis points of the base awards of all plugins: 10,000 doubles them. */
export const bonusShare = (basisPoints, reason, more) =>
  award("bonus-share", basisPoints, reason, more);

/** These lines, by number. */
export const lines = (numbers) => ({ tag: "lines", val: numbers });

/** What a return of the goods does to an award: nothing. */
export const keepOnReturn = { tag: "keep" };

/** The same: takes back all of it as soon as what is left of the sale is below this amount. */
export const wholeBelow = (amount) => ({ tag: "whole-below", val: amount });

/** The customer belongs, until an answer says otherwise or `until` has come. */
export const enter = (segment, reason, until = null) => ({ segment, member: true, reason, until });

/** The customer does not belong. */
export const leave = (segment, reason) => ({ segment, member: false, reason });

/** Puts the customer into a tier that the manifest owns; `null` takes the tier away. */
export const place = (tier, reason, keepUntil = null) => ({ tier, reason, keepUntil });

/** At that instant, in milliseconds since 1970. */
export const at = (instant) => ({ tag: "at", val: instant });
export const hours = (count) => ({ tag: "hours", val: count });
/** The same time of day so many local days later. */
export const days = (count) => ({ tag: "days", val: count });
export const months = (count) => ({ tag: "months", val: count });
/** The end of the local month so many months ahead; 0 is the month of the event. */
export const endOfMonth = (ahead = 0) => ({ tag: "end-of-month", val: ahead });
export const endOfYear = (ahead = 0) => ({ tag: "end-of-year", val: ahead });

// What a template is given; the host writes it in the customer's language.
export const text = (val) => ({ tag: "text", val });
export const number = (val) => ({ tag: "number", val });
export const points = (val) => ({ tag: "points", val });
export const money = (val) => ({ tag: "money", val });
