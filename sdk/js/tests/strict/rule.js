// A rule that answers, or goes wrong, as its configuration tells it. The cases say what becomes of it.

import * as sdk from "stampcard-sdk";
import { month } from "./lib/birthday.js";

const { bonus } = sdk;
const HIGHEST = Number.MAX_SAFE_INTEGER;
let calls = 0;

const points = {
  nothing: () => undefined,
  "the highest": () => ({ awards: [bonus(HIGHEST, "all")] }),
  "a BigInt": () => ({ awards: [bonus(BigInt(HIGHEST), "all")] }),
  "beyond the highest": () => ({ awards: [bonus(HIGHEST + 1, "all")] }),
  "a BigInt beyond": () => ({ awards: [bonus(2n ** 53n, "all")] }),
  "a fraction": () => ({ awards: [bonus(1.5, "some")] }),
  "no number": () => ({ awards: [bonus(0 / 0, "some")] }),
  "a text for a number": () => ({ awards: [bonus("5", "some")] }),
  "a share below zero": () => ({ awards: [sdk.bonusShare(-1, "some")] }),
  "no reason": () => ({ awards: [bonus(5)] }),
  "a field that is none": () => ({ awards: [bonus(5, "some", { onReturns: sdk.keepOnReturn })] }),
  "an answer that is none": () => ({ award: [] }),
  "a list that is none": () => ({ awards: bonus(5, "some") }),
  "a recipient that is none": () => ({ awards: [bonus(5, "some", { to: "friend" })] }),
  "a moment that is none": () => ({ awards: [bonus(5, "some", { expiresAt: 30 })] }),
  "a promise": async () => ({ awards: [] }),
  "a mistake": (input) => month(input.customer.birthday),
  "a text that is thrown": () => {
    throw "no more coffee";
  },
  "a refusal": () => {
    throw sdk.reject("nothing for wholesale");
  },
  "another's words": (input) => ({ note: sdk.attribute(input, "none") ?? "nothing said" }),
  "all of an award": () => ({
    awards: [
      bonus(5, "some", {
        to: "referrer",
        covers: sdk.lines([1, 2]),
        availableFrom: sdk.days(1),
        expiresAt: sdk.endOfYear(1),
        onReturn: sdk.wholeBelow(5000),
        attributes: [["campaign", "spring"]],
      }),
    ],
  }),
  "a count": (input) => {
    const seen = sdk.remembered(input, { name: "Zoë ☕", visits: 0 });
    return { remember: { ...seen, visits: seen.visits + 1 }, keepWithEvent: [1], reviewAt: input.now + 86400000 };
  },
  "all that may be remembered": (input) => {
    const seen = sdk.remembered(input, "");
    return { remember: "é☕😀".repeat(10) + "x".repeat(4004), note: `${seen.length} ${seen.slice(0, 4)}` };
  },
  "too much to remember": () => ({ remember: "x".repeat(4095) }),
  "too much to keep": () => ({ keepWithEvent: "x".repeat(255) }),
  "to forget": () => ({ remember: null, reviewAt: null }),
  "what another call left": () => ({ note: `${++calls}` }),
  "the time and chance": (input) => {
    const chance = Math.random();
    if (Date.now() !== input.now) throw new Error("the clock is not the event's");
    return { note: `${chance >= 0 && chance < 1}` };
  },
  "what there is not": () => ({
    note: ["fetch", "setTimeout", "process", "require", "Intl"].filter((it) => it in globalThis).join() || "nothing",
  }),
};

export default sdk.rule({
  configure(config, shop) {
    if (config.do === "a shop") throw sdk.reject(`${shop.currency} ${shop.minorUnits} ${shop.tiers}`);
    if (config.do === "a mistake while it is configured") throw new RangeError("not like this");
    return points[config.do] ?? points.nothing;
  },

  segments: () => ({
    memberships: [sdk.enter("regular", "comes back", sdk.days(30)), sdk.leave("regular", "no longer")],
    note: "asked",
  }),

  points: (input, act) => act(input),

  tier: () => ({
    placement: sdk.place("gold", "spent enough", sdk.endOfMonth(2)),
    next: { tier: "platinum", missing: 5, unit: "orders" },
  }),

  followUps: (input) => ({
    followUps: [
      {
        channel: "email",
        template: "thanks",
        purpose: "service",
        data: [
          ["at", sdk.at(input.now)],
          ["name", sdk.text("Zoë")],
        ],
        dedupeKey: "one",
        reason: "asked for",
        offer: { key: "ten", value: { tag: "share", val: 1000 }, reason: "for the next time", scope: { tag: "next-purchase" } },
      },
    ],
    prompts: [{ kind: "message", text: "Say hello" }],
    receipt: ["Hello"],
  }),
});
