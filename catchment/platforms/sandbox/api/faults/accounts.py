"""Faults of the account: its limits are reached, its credits are gone. The API itself refuses what goes beyond."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from catchment.platforms.sandbox.api.acceptance import Limits
from catchment.platforms.sandbox.api.faults.fault import AccountFault, Fault

_REFUSED = "every POST is refused:"

ACCOUNT_FAULTS = (
    AccountFault(
        name="daily-results-full",
        about=f"{_REFUSED} too many results a day",
        limits=lambda usual: replace(usual, results_per_day=0),
    ),
    AccountFault(
        name="target-full",
        about=f"{_REFUSED} too many measurements of the target",
        limits=lambda usual: replace(usual, measurements_per_target=0),
    ),
    AccountFault(name="credits-out", about=f"{_REFUSED} not enough credits (402)", balance=lambda _: 0),
)


def spoil_account(limits: Limits, balance: int, faults: Sequence[Fault]) -> tuple[Limits, int]:
    """Return the limits and the credits that faults leave an account."""
    for fault in faults:
        if isinstance(fault, AccountFault):
            limits, balance = fault.limits(limits), fault.balance(balance)
    return limits, balance
