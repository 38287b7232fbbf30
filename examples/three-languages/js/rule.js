// A stamp card: so many coffees, so many points.

import { StampCard, bonus, keepOnReturn, rule } from "stampcard-sdk";

export default rule({
  points(input, { every, points }) {
    const card = StampCard.of(input);
    card.count(input, (line) => line.category === "coffee");
    const awards = [];
    for (let full = card.full(every); full > 0; full--) {
      awards.push(bonus(points, "a full stamp card", { onReturn: keepOnReturn }));
    }
    return { awards, remember: card };
  },
});
