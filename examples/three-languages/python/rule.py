"""A stamp card: so many coffees, so many points."""

from typing import Any

from stampcard_sdk import KEEP_ON_RETURN, Input, PointAnswer, StampCard, bonus, point_answer


def points(input: Input, config: Any) -> PointAnswer:
    card = StampCard.of(input)
    card.count(input, lambda line: line.category == "coffee")
    full = [
        bonus(config["points"], "a full stamp card", on_return=KEEP_ON_RETURN)
        for _ in range(card.full(config["every"]))
    ]
    return point_answer(*full, remember=card)
