"""Tiers by what was spent within 365 days."""

from typing import Any, Optional

from stampcard_sdk import Input, NextTier, ProgressUnit, Shop, TierAnswer, end_of_year, net_spend, place, reject, tier_answer


def configure(config: Any, shop: Shop) -> list[tuple[str, int]]:
    if config["gold"] <= config["silver"]:
        reject("gold must be above silver")
    return [("silver", config["silver"]), ("gold", config["gold"])]


def tier(input: Input, steps: list[tuple[str, int]]) -> Optional[TierAnswer]:
    spent = net_spend(input.totals.days365)
    names = [name for name, _ in steps]
    reached = sum(spent >= since for _, since in steps) - 1
    standing = input.customer.tier
    held = names.index(standing.tier) if standing and standing.tier in names else -1
    is_kept = standing is not None and standing.keep_until is not None and input.now < standing.keep_until

    missing = [(name, since - spent) for name, since in steps if spent < since]
    following = NextTier(*missing[0], ProgressUnit.SPEND) if missing else None
    if reached == held or (is_kept and reached < held):
        return tier_answer(next=following)
    if reached == -1:
        return tier_answer(place(None, "spent too little in 365 days"), following)
    name = names[reached]
    return tier_answer(place(name, f"spent enough for {name} in 365 days", end_of_year(1)), following)
