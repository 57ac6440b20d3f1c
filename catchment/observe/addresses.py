"""IP addresses as results write them."""

from __future__ import annotations

import ipaddress


def canonical_address(text: str) -> str | None:
    """Return an IP address in its one canonical form; None for a host name, or an address with a zone (fe80::1%x)."""
    try:
        return None if "%" in text else str(ipaddress.ip_address(text))
    except ValueError:
        return None
