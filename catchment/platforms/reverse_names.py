"""Names of addresses from the reverse DNS (RFC 1035, 3.5; RFC 3596, 2.5)."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed

import dns.exception
import dns.name
import dns.resolver

from catchment.errors import PlatformFailed

RESOLVER = "CATCHMENT_RESOLVER"
"""Variable of the environment that names a resolver in the place of this host's own: 192.0.2.53, [::1]:5353."""

_PORT = 53
_PLACE = re.compile(r"(?:\[(?P<bracketed>[^\[\]]+)\]|(?P<plain>[^:]+))(?::(?P<port>\d+))?|(?P<six>.+:.+)")
_LONGEST_NAME = 253  # characters; one with many escapes can be longer, and nobody would miss its end
_DOCUMENTATION_V6 = ipaddress.IPv6Network("3fff::/20")  # RFC 9637, which Python before 3.13 does not know


def is_public(address: str) -> bool:
    """Tell whether the public DNS can know an address: not one of a home, a lab or a book, nor multicast."""
    try:
        found = ipaddress.ip_address(address)
    except ValueError:
        return False
    if found.version == 6 and (found in _DOCUMENTATION_V6 or found.ipv4_mapped is not None):
        return False
    return found.is_global and not found.is_multicast


def nameserver_of(environ: Mapping[str, str]) -> tuple[str, int] | None:
    """Return address and port of the resolver that CATCHMENT_RESOLVER names; None where it names none.

    Raises PlatformFailed where that is no address.
    """
    text = environ.get(RESOLVER, "").strip()
    if not text:
        return None
    match = _PLACE.fullmatch(text)
    try:
        if match is None:
            raise ValueError("not an address, or one with a port")
        address = str(ipaddress.ip_address(match["bracketed"] or match["plain"] or match["six"]))
        port = int(match["port"] or _PORT)
        if not 0 < port < 1 << 16:
            raise ValueError("no port")
    except ValueError as error:
        raise PlatformFailed(f"{RESOLVER}='{text}' is no resolver: write it like 192.0.2.53 or [::1]:5353") from error
    return address, port


def resolve_names(
    addresses: Iterable[str],
    *,
    nameservers: Sequence[str] | None = None,
    port: int = _PORT,
    timeout_s: float = 5.0,
    at_once: int = 50,
    progress: Callable[[int], None] = lambda _: None,
) -> dict[str, str | None]:
    """Ask resolvers (None: this host's own) for the name of each public address; None for those that have none.

    Addresses that got no answer within `timeout_s`, or SERVFAIL and the like, are left out: another try may tell. So
    are those that are not public, about which nobody is asked. Of several names the first in the alphabet counts.
    `progress` is told how many are done. Raises PlatformFailed where this host has no resolver.
    """
    resolver = make_resolver(nameservers, port, timeout_s)
    asked = list(dict.fromkeys(address for address in addresses if is_public(address)))
    names: dict[str, str | None] = {}
    pool = ThreadPoolExecutor(max_workers=max(1, at_once))
    try:
        asking = {pool.submit(_name_of, resolver, address): address for address in asked}
        for done, future in enumerate(as_completed(asking), start=1):
            answered, name = future.result()
            if answered:
                names[asking[future]] = name
            progress(done)
    finally:
        pool.shutdown(cancel_futures=True)  # after Ctrl-C, only those on their way are waited for
    return {address: names[address] for address in asked if address in names}


def make_resolver(nameservers: Sequence[str] | None, port: int, timeout_s: float) -> dns.resolver.Resolver:
    """Return what asks resolvers (None: this host's own). Raises PlatformFailed where this host has none."""
    try:
        resolver = dns.resolver.Resolver(configure=nameservers is None)
    except dns.resolver.NoResolverConfiguration as error:
        raise PlatformFailed(f"this host has no DNS resolver: name one by {RESOLVER} in the environment") from error
    if nameservers is not None:
        resolver.nameservers = list(nameservers)
        resolver.port = port
    resolver.lifetime = timeout_s
    resolver.timeout = min(resolver.timeout, timeout_s)
    return resolver


def _name_of(resolver: dns.resolver.Resolver, address: str) -> tuple[bool, str | None]:
    """Return whether somebody could tell, and the name."""
    try:
        answer = resolver.resolve_address(address, search=False)
    except (dns.resolver.NXDOMAIN, dns.resolver.NoAnswer):
        return True, None
    except (dns.exception.DNSException, OSError, ValueError):
        return False, None
    names = [record.target for record in answer if record.target != dns.name.root]
    # As text a name is printable ASCII: other bytes are escaped.
    texts = sorted(name.to_text(omit_final_dot=True) for name in names)
    return True, texts[0][:_LONGEST_NAME] if texts else None
