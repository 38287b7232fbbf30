"""Extra points for each piece of a category."""

from typing import Any, Optional

from stampcard_sdk import Input, PointAnswer, Shop, basket, bonus, lines, pieces, point_answer, reject


def configure(config: Any, shop: Shop) -> Any:
    if not config["category"].strip():
        reject("category must not be blank")
    return config


def points(input: Input, config: Any) -> Optional[PointAnswer]:
    sale = basket(input)
    if sale is None:
        return None
    category = config["category"]
    goods = [line for line in sale.lines if line.category == category]
    count = pieces(goods)
    if count == 0:
        return point_answer(note=f"no {category} in the basket")
    covers = lines(line.number for line in goods)
    return point_answer(bonus(count * config["points"], f"{count} × {category}", covers=covers))
