// Extra points for each piece of a category.

import { basket, bonus, lines, pieces, reject, rule } from "stampcard-sdk";

interface Config {
  category: string;
  points: number;
}

export default rule<Config>({
  configure(config) {
    if (config.category.trim() === "") throw reject("category must not be blank");
    return config;
  },

  points(input, { category, points }) {
    const goods = basket(input)?.lines.filter((line) => line.category === category) ?? [];
    const count = pieces(goods);
    if (count === 0) return { note: `no ${category} in the basket` };
    const covers = lines(goods.map((line) => line.number));
    return { awards: [bonus(count * points, `${count} × ${category}`, { covers })] };
  },
});
