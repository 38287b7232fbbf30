"""A segment of whoever has bought often lately."""

from typing import Any, Optional

from stampcard_sdk import Input, SegmentAnswer, Shop, days, enter, in_segment, leave, reject, segment_answer, within

# The manifest owns it.
SEGMENT = "{{name}}"


def configure(config: Any, shop: Shop) -> Any:
    if config["days"] not in (7, 30, 90, 365):
        reject("days must be 7, 30, 90 or 365")
    return config


def segments(input: Input, config: Any) -> Optional[SegmentAnswer]:
    wanted, window = config["orders"], config["days"]
    bought = within(input.totals, window).orders
    if bought >= wanted:
        return segment_answer(enter(SEGMENT, f"{bought} purchases in {window} days", days(window)))
    reason = f"{bought} of {wanted} purchases in {window} days"
    if in_segment(input.customer, SEGMENT):
        return segment_answer(leave(SEGMENT, reason))
    return segment_answer(note=reason)
