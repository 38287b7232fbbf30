// A segment of whoever has bought often lately.

import { days as after, enter, inSegment, leave, reject, rule, within } from "stampcard-sdk";

// The manifest owns it.
const SEGMENT = "{{name}}";

interface Config {
  orders: number;
  days: 7 | 30 | 90 | 365;
}

export default rule<Config>({
  configure(config) {
    if (![7, 30, 90, 365].includes(config.days)) throw reject("days must be 7, 30, 90 or 365");
    return config;
  },

  segments(input, { orders, days }) {
    const bought = within(input.totals, days).orders;
    if (bought >= orders) {
      return { memberships: [enter(SEGMENT, `${bought} purchases in ${days} days`, after(days))] };
    }
    const reason = `${bought} of ${orders} purchases in ${days} days`;
    if (inSegment(input.customer, SEGMENT)) return { memberships: [leave(SEGMENT, reason)] };
    return { note: reason };
  },
});
