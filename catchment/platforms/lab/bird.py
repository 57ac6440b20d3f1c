"""The configuration of a router's BIRD: BGP as Gao and Rexford describe it, as the sandbox plays it.

The best route is one of a customer, then of a peer, then of a provider; then the one with the shortest AS path; then
that of the neighbour with the lowest router id (and, of several cables to it, the one with its lowest address).
Customers are told everything, others what customers said (L. Gao, J. Rexford: Stable Internet Routing Without Global
Coordination, 2001). Checked with BIRD 2.0.12.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from enum import IntEnum

from catchment.model import AddressFamily
from catchment.platforms.lab.numbering import FAMILIES


class Rank(IntEnum):
    """What a neighbour is to the router, as the local preference of the routes that it tells."""

    CUSTOMER = 300
    PEER = 200
    PROVIDER = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class Session:
    """BGP over one cable for one family; `wire` names the interface. `prepend` is how often our AS is added."""

    wire: str
    af: AddressFamily
    address: str
    neighbour: str
    asn: int
    rank: Rank
    prepend: int = 0

    @property
    def name(self) -> str:
        """Return the name of the protocol in BIRD."""
        return f"{self.wire}_{self.af}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Router:
    """What a router is to say and do. Prefixes and addresses are by family.

    It announces `own` prefixes, and keeps the routes to `hosts` (address and gateway) to itself. `addresses` are those
    from which it answers traceroutes. A site is no transit: it tells nobody what it hears; what a `local` one announces
    goes no further than its neighbours (NO_EXPORT, RFC 1997). A router that `leaks` tells its peers and providers
    everything, but what is in the `unleaked` prefixes.
    """

    asn: int
    router_id: str
    addresses: Mapping[AddressFamily, str]
    sessions: tuple[Session, ...]
    own: Mapping[AddressFamily, tuple[str, ...]]
    hosts: Mapping[AddressFamily, tuple[tuple[str, str], ...]] = field(default_factory=dict)
    is_transit: bool = True
    is_local: bool = False
    leaks: bool = False
    unleaked: Mapping[AddressFamily, tuple[str, ...]] = field(default_factory=dict)


def bird_config(router: Router) -> str:
    """Return the configuration of a router's BIRD. One that differs in routes and filters alone keeps its sessions."""
    lines = [
        "log stderr { error, auth, fatal, bug };",
        f"router id {router.router_id};",
        "protocol device { scan time 3600; }",  # the kernel tells of changes by itself
        "template bgp neighbour {",
        f"  local as {router.asn};",
        "  direct;",
        "  hold time 9; keepalive time 3;",  # a cable that is silently cut is found out within 9 s
        "  connect delay time 0; connect retry time 1; error wait time 1, 2;",
        "}",
    ]
    for af in FAMILIES:
        lines += _tables(router, af)
    for session in router.sessions:
        lines += _session(router, session)
    return "\n".join(lines) + "\n"


def _tables(router: Router, af: AddressFamily) -> Iterator[str]:
    """Yield what the router announces itself, and what it hands to the kernel."""
    yield f"protocol static own_{af} {{"
    yield f"  ipv{af};"
    yield from (f"  route {prefix} blackhole;" for prefix in router.own.get(af, ()))
    yield "}"
    # Apart from `own`: a blackhole beats a route with a gateway to the same prefix, and hosts are nobody else's matter.
    yield f"protocol static hosts_{af} {{"
    yield f"  ipv{af};"
    yield from (f"  route {prefix} via {gateway};" for prefix, gateway in router.hosts.get(af, ()))
    yield "}"
    yield f"protocol kernel kernel_{af} {{"
    yield "  scan time 3600;"
    yield f"  ipv{af} {{ import none; export filter {{"
    yield f'    if source != RTS_BGP && proto != "hosts_{af}" then reject;'
    if af in router.addresses:
        # Without it a router would answer traceroutes from whichever interface leads back to the asker.
        yield f"    krt_prefsrc = {router.addresses[af]};"
    yield "    accept;"
    yield "  }; };"
    yield "}"


def _session(router: Router, session: Session) -> Iterator[str]:
    yield f"protocol bgp {session.name} from neighbour {{"
    yield f"  source address {session.address};"
    yield f"  neighbor {session.neighbour} as {session.asn};"
    yield f"  ipv{session.af} {{"
    yield f"    import filter {{ bgp_local_pref = {session.rank.value}; accept; }};"
    yield "    export filter {"
    yield f'      if proto = "own_{session.af}" then {{'
    yield from [f"        bgp_path.prepend({router.asn});"] * session.prepend
    if router.is_local:
        yield "        bgp_community.add((65535, 65281));"  # NO_EXPORT, which BIRD heeds by itself
    yield "        accept;"
    yield "      }"
    yield from (f"      {line}" for line in _passed_on(router, session))
    yield "      reject;"
    yield "    };"
    yield "  };"
    yield "}"


def _passed_on(router: Router, session: Session) -> Iterator[str]:
    """Yield what of the routes of others the neighbour is told."""
    if not router.is_transit:
        return
    if session.rank is Rank.CUSTOMER:
        yield "if source = RTS_BGP then accept;"
        return
    # The local preference, which no neighbour can set, says from whom a route was heard.
    yield f"if source = RTS_BGP && bgp_local_pref = {Rank.CUSTOMER.value} then accept;"
    if router.leaks:
        kept = router.unleaked.get(session.af, ())
        if kept:
            yield f"if net ~ [ {', '.join(f'{prefix}+' for prefix in kept)} ] then reject;"
        yield "if source = RTS_BGP then accept;"
