"""Faults of RIPE Atlas and of the way there, each by a name, to be switched on in a sandbox.

`fault` says what kinds there are. `posts`, `answers` and `streams` stand in `front` of the API, for the requests that
`concerns` tells, and `breaking` is what comes then; `accounts` are exhausted; `courses` befall measurements;
`dns_results` and `packet_results` change results as they leave; `probes` are in trouble.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from catchment.errors import UnknownName, hint
from catchment.platforms.sandbox.api.faults.accounts import ACCOUNT_FAULTS, spoil_account
from catchment.platforms.sandbox.api.faults.answers import ANSWER_FAULTS
from catchment.platforms.sandbox.api.faults.courses import COURSE_FAULTS, SpoiltLedger
from catchment.platforms.sandbox.api.faults.dns_results import DNS_FAULTS
from catchment.platforms.sandbox.api.faults.fault import (
    AccountFault,
    CourseFault,
    Fault,
    FrontFault,
    ProbeFault,
    ResultFault,
)
from catchment.platforms.sandbox.api.faults.front import Front
from catchment.platforms.sandbox.api.faults.packet_results import PACKET_FAULTS
from catchment.platforms.sandbox.api.faults.posts import POST_FAULTS
from catchment.platforms.sandbox.api.faults.probes import PROBE_FAULTS, Troubled
from catchment.platforms.sandbox.api.faults.streams import STREAM_FAULTS

__all__ = [
    "FAULTS",
    "AccountFault",
    "CourseFault",
    "Fault",
    "Front",
    "FrontFault",
    "ProbeFault",
    "ResultFault",
    "SpoiltLedger",
    "Troubled",
    "find_faults",
    "spoil_account",
]

_ALL: tuple[Fault, ...] = (
    *POST_FAULTS,
    *ACCOUNT_FAULTS,
    *ANSWER_FAULTS,
    *STREAM_FAULTS,
    *COURSE_FAULTS,
    *PROBE_FAULTS,
    *DNS_FAULTS,
    *PACKET_FAULTS,
)

FAULTS: Mapping[str, Fault] = {fault.name: fault for fault in _ALL}
"""All faults by their names."""


def find_faults(names: Iterable[str]) -> tuple[Fault, ...]:
    """Return faults by their names, each once. Raises UnknownName."""
    found = {}
    for name in names:
        if name not in FAULTS:
            near = hint(name, list(FAULTS), "`catchment sandbox serve --list-faults` lists all")
            raise UnknownName(f"the sandbox has no fault '{name}': {near}")
        found[name] = FAULTS[name]
    return tuple(found.values())
