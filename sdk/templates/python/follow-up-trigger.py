"""A thank-you after the first purchase."""

from typing import Any, Optional

from stampcard_sdk import FollowUpAnswer, Input, Shop, Value_Money, days, follow_up, follow_up_answer, purchase, reject


def configure(config: Any, shop: Shop) -> Any:
    if not config["template"].strip():
        reject("template must not be blank")
    return config


def follow_ups(input: Input, config: Any) -> Optional[FollowUpAnswer]:
    sale = purchase(input)
    if sale is None or input.totals.lifetime.orders != 1:
        return None
    thanks = follow_up(
        "email",
        config["template"],
        "first-purchase",
        "the first purchase",
        send_at=days(config["days"]),
        data=[("total", Value_Money(sale.total))],
        cancelled_by=["return.completed"],
    )
    return follow_up_answer(thanks, receipt=["Thank you for your first purchase."])
