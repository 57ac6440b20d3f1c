"""The account's credits: what it has left, what it spends, and the object of GET /credits/."""

from __future__ import annotations

from typing import Any

from catchment.platforms.sandbox.api.acceptance import current_results_per_day
from catchment.platforms.sandbox.api.ledger import Ledger
from catchment.platforms.sandbox.api.measurements import ONGOING

_DAY_S = 86_400
_LISTS = ("income_items", "expense_items", "transactions")


def spent(ledger: Ledger, now: float) -> int:
    """Return what the results that have arrived so far cost."""
    return sum(ledger.delivered(found, now) * found.credits_per_result for found in ledger.own())


def credits_object(ledger: Ledger, now: float, *, balance: int, credits_per_day: int, origin: str) -> dict[str, Any]:
    """Return the account as it is by now; it began with `balance` credits and may spend `credits_per_day`."""
    own = ledger.own()
    delivered = {found.id: ledger.delivered(found, now) for found in own}
    before = {found.id: ledger.delivered(found, now - _DAY_S) for found in own}
    running = [found for found in own if ledger.status(found) == ONGOING and not found.is_oneoff]
    daily = int(sum(found.results_in_a_day * found.credits_per_result for found in running))
    left = balance - spent(ledger, now)
    content = {
        "current_balance": left,
        "credit_checked": True,
        "max_daily_credits": credits_per_day,
        "estimated_daily_income": 0,
        "estimated_daily_expenditure": daily,
        "estimated_daily_balance": -daily,
        "calculation_time": int(now),
        "estimated_runout_seconds": int(left / daily * _DAY_S) if daily else None,
        "past_day_measurement_results": sum(delivered.values()) - sum(before.values()),
        "past_day_credits_spent": sum(
            (delivered[found.id] - before[found.id]) * found.credits_per_result for found in own
        ),
        "estimated_results_per_day": int(current_results_per_day(ledger, now)),
        "last_date_debited": int(now) if any(delivered.values()) else None,
        "last_date_credited": None,
    }
    return content | {name: f"{origin}/api/v2/credits/{name.replace('_', '-')}/" for name in _LISTS}
