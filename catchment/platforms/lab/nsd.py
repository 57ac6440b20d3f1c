"""The files of a server's NSD: it says who it is as its service's servers do, and serves a small zone of its own.

Checked with NSD 4.6.1. Everything lies in the folder in which NSD is started.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence

MAIN_FILE = "nsd.conf"
_NAMES = frozenset({"hostname.bind", "id.server"})
# In the file an identity stands between quotes, with no way to write a quote or a backslash there.
_WRITABLE = re.compile(r"[ !#-\[\]-~]{1,255}")
_LONGEST_LABEL = 63
_TTL_S = 3600


def is_writable(identity: str) -> bool:
    """Tell whether NSD can be told an identity."""
    return _WRITABLE.fullmatch(identity) is not None


def zone_name(service: str) -> str:
    """Return the zone that a service's servers have: one below `example`, named after the service."""
    label = re.sub(r"[^a-z0-9]+", "-", service.lower())[:_LONGEST_LABEL].strip("-")
    return f"{label or 'service'}.example"


def nsd_files(
    identity: str, answers: Collection[str], zones: Mapping[str, Sequence[str]], addresses: Sequence[str]
) -> dict[str, str]:
    """Return the files of a server, by name: it listens at `addresses`; `zones` have the addresses of their service.

    It tells its identity to the queries among `answers`, and refuses the others; but NSD cannot tell hostname.bind from
    id.server, so that either of them stands for both.
    """
    is_named = not _NAMES.isdisjoint(answers)
    lines = [
        "server:",
        *(f"  ip-address: {address}" for address in addresses),
        "  ip-transparent: yes",
        "  server-count: 1",
        '  username: ""',  # nobody to become in a namespace without other users
        '  chroot: ""',
        '  database: ""',
        '  zonesdir: "."',
        '  xfrdir: "."',
        '  pidfile: "nsd.pid"',
        '  xfrdfile: ""',
        '  zonelistfile: "zone.list"',
        f'  identity: "{identity}"',
        *([f'  nsid: "ascii_{identity}"'] if "nsid" in answers else []),
        f"  hide-identity: {'no' if is_named else 'yes'}",
        "  hide-version: yes",
        "  rrl-ratelimit: 0",
        "remote-control:",
        "  control-enable: no",
    ]
    for zone in zones:
        lines += ["zone:", f'  name: "{zone}"', f'  zonefile: "{zone}.zone"']
    files = {f"{zone}.zone": _zone(zone, hosts) for zone, hosts in zones.items()}
    return {MAIN_FILE: "\n".join(lines) + "\n", **files}


def _zone(name: str, addresses: Sequence[str]) -> str:
    records = [
        f"@ SOA ns hostmaster 1 {_TTL_S} 600 604800 60",
        "@ NS ns",
        *(f"{owner} {'AAAA' if ':' in address else 'A'} {address}" for owner in ("@", "ns") for address in addresses),
    ]
    return "\n".join([f"$ORIGIN {name}.", f"$TTL {_TTL_S}", *records]) + "\n"
