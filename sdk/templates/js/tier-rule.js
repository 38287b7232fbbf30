// Tiers by what was spent within 365 days.

import { endOfYear, netSpend, place, reject, rule } from "stampcard-sdk";

export default rule({
  configure(config) {
    if (config.gold <= config.silver) throw reject("gold must be above silver");
    return [
      { tier: "silver", from: config.silver },
      { tier: "gold", from: config.gold },
    ];
  },

  tier(input, steps) {
    const spent = netSpend(input.totals.days365);
    const reached = steps.findLastIndex((step) => spent >= step.from);
    const standing = input.customer.tier;
    const held = steps.findIndex((step) => step.tier === standing?.tier);
    const isKept = standing?.keepUntil != null && input.now < standing.keepUntil;

    const step = steps.find((step) => spent < step.from);
    const next = step ? { tier: step.tier, missing: step.from - spent, unit: "spend" } : null;
    if (reached === held || (isKept && reached < held)) return { next };
    if (reached === -1) return { placement: place(null, "spent too little in 365 days"), next };
    const { tier } = steps[reached];
    return { placement: place(tier, `spent enough for ${tier} in 365 days`, endOfYear(1)), next };
  },
});
