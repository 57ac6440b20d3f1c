"""Vantage points that are none of RIPE Atlas, this host and those of a lab: their names, and the numbers in results.

In results a vantage point is a number (`prb_id`). That of ours is made from its name, which the result gives as
`vantage`: so the one vouches for the other, and no result can speak for a probe of RIPE Atlas.
"""

from __future__ import annotations

import hashlib
import re

FIRST_NUMBER = 1 << 47
"""Far above every probe of RIPE Atlas, and still a whole number to JavaScript."""

LONGEST_NAME = 86
_HOST = "local:"
_NAME = re.compile(r"local:[a-z0-9._-]{1,80}|lab:[0-9]{1,80}")


def is_own_name(name: str) -> bool:
    """Tell whether a text is the name of a vantage point of ours: local:<host>, lab:<number>."""
    return _NAME.fullmatch(name) is not None


def is_host_name(name: str) -> bool:
    """Tell whether a text is the name of a host that measured."""
    return name.startswith(_HOST) and is_own_name(name)


def lab_name(number: int) -> str:
    """Return the name of a lab's vantage point."""
    return f"lab:{number}"


def vantage_number(name: str) -> int:
    """Return the number that stands for a vantage point's name in results."""
    return FIRST_NUMBER + int.from_bytes(hashlib.sha256(name.encode()).digest()[:5])
