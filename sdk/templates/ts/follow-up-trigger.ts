// A thank-you after the first purchase.

import { days as after, money, purchase, reject, rule } from "stampcard-sdk";

interface Config {
  template: string;
  days: number;
}

export default rule<Config>({
  configure(config) {
    if (config.template.trim() === "") throw reject("template must not be blank");
    return config;
  },

  followUps(input, { template, days }) {
    const sale = purchase(input);
    if (!sale || input.totals.lifetime.orders !== 1) return {};
    return {
      followUps: [
        {
          channel: "email",
          template,
          purpose: "marketing",
          sendAt: after(days),
          data: [["total", money(sale.total)]],
          dedupeKey: "first-purchase",
          cancelledBy: ["return.completed"],
          reason: "the first purchase",
        },
      ],
      receipt: ["Thank you for your first purchase."],
    };
  },
});
