"""Which site does this host reach, and is it the nearest? Measured once, as an ordinary run, kept or thrown away."""

from __future__ import annotations

import ipaddress
import socket
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path

from catchment import store
from catchment.campaign import Campaign, CampaignTarget, Local, PlatformName, Protocol, Query
from catchment.errors import PlatformFailed, UnknownName, hint
from catchment.metrics import Numbers, iso_time
from catchment.model import Address, AddressFamily, Kind, Service, Target
from catchment.platforms.local.measurements import own_measurements
from catchment.platforms.local.places import HostPlace, find_online, find_place
from catchment.platforms.local.privileges import missing_privileges
from catchment.services import find_service, is_path, known_names, usable_services
from catchment.store import Header
from catchment.workflow.explaining import explain_vantage
from catchment.workflow.here.inquiring import Inquiry
from catchment.workflow.here.telling import tell_targets, unsettled
from catchment.workflow.here.tracing import describe_path
from catchment.workflow.importing import Progress, Say, rebuild
from catchment.workflow.probing import Measure, measure_round_here, note, vantage_name
from catchment.workflow.reaching import Means
from catchment.workflow.throwaway import throwaway_folder

FLOWS = 8
"""As many identity queries, each from a source port of its own: two servers behind one address hardly stay unseen."""

UNNAMED = "unnamed"
"""What the service is called at an address that belongs to none that we know."""

_NAME = "here"
_PINGS, _PACKETS_PER_HOP = 5, 2
_IDENTITY_QUERIES = ("hostname.bind", "id.server")
_ASKED = 0.85  # of the work when all is asked
_DNS_PORT = 53

HasRoute = Callable[[str], bool]
"""Tells whether this host has a route to an address."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """What is wanted: a service's name or file or an address, and how to look at it.

    `af` leaves one address family; `flows` is the number of identity queries; `with_names` has the DNS asked about the
    routers on the way; the run is kept at `out`. `name` is this host's, as in a campaign's local.name (None: its own).
    """

    what: str
    name: str | None = None
    place: HostPlace | None = None
    af: AddressFamily | None = None
    rate_per_s: float = Local().rate_per_s
    flows: int = FLOWS
    with_names: bool = True
    out: Path | None = None


def look_from_here(  # noqa: PLR0913  (all but the first have a usual value)
    what: str,
    *,
    environ: Mapping[str, str],
    name: str | None = None,
    place: str | None = None,
    is_online: bool = False,
    af: AddressFamily | None = None,
    rate_per_s: float = Local().rate_per_s,
    flows: int = FLOWS,
    with_names: bool = True,
    out: Path | None = None,
    clock: Callable[[], float] = time.time,
    progress: Progress = lambda *_: None,
    say: Say = lambda _: None,
) -> Numbers:
    """Measure a service, or an address, from this host; return what is to be said of it, as `here --json` prints it.

    `place` says where this host is, as places.find_place reads it, or a geocoder does where that `is_online`; see Look
    for the rest. Raises CatchmentError.
    """
    where = None
    if place is not None:
        where = find_online(place) if is_online else find_place(place)
    wish = Look(
        what=what,
        name=name,
        place=where,
        af=af,
        rate_per_s=rate_per_s,
        flows=flows,
        with_names=with_names,
        out=out,
    )
    return look(wish, Means(environ=environ, clock=clock, progress=progress, say=say))


def has_route(address: str) -> bool:
    """Tell whether this host has a route to an address. Nothing is sent."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    try:
        with socket.socket(family, socket.SOCK_DGRAM) as probe:
            probe.connect((address, _DNS_PORT))
    except OSError:
        return False
    return True


def look(
    wish: Look,
    means: Means,
    *,
    measure: Measure = measure_round_here,
    is_routed: HasRoute = has_route,
) -> Numbers:
    """Measure a service from this host and return what is to be said of it, as `here --json` prints it.

    Raises CatchmentError: UnknownName where there is no such service, PlatformFailed where nothing could be sent.
    """
    service, targets = _wanted(wish)
    there = [target for target in targets if is_routed(target.address)]
    remarks = [
        f"no IPv{target.af} route from this host to {target.address}" for target in targets if target not in there
    ]
    if not there:
        raise PlatformFailed(f"{', and '.join(remarks)}: nothing could be sent; connect it, or name another address")
    missing = missing_privileges(tuple(_queries(service, is_privileged=True)))
    if missing is not None:
        means.say(missing)
    start, name = means.clock(), vantage_name(wish.name)
    plan = _plan(wish, service, there, is_privileged=missing is None)
    header = Header.of_plan(plan, (service,), there, created=iso_time(int(start)) or "")
    with _folder(wish.out) as path, _made(path, header), store.locked(path):
        measurements, queries = own_measurements(plan.queries, there, (name,), start, None, None)
        accepted = note(path, measurements, name, wish.place)
        inquiry = Inquiry(
            path=path,
            name=name,
            accepted=accepted,
            queries=queries,
            means=means,
            measure=measure,
            rate_per_s=wish.rate_per_s,
            flows=wish.flows,
            with_names=wish.with_names,
        )
        traces, routers = inquiry.ask()
        done = rebuild(path, header, means.part(_ASKED, 1))
        run = store.Run.open(path)
        told = explain_vantage(run, name)
        if again := unsettled(run, told):
            inquiry.ask_again(again)
            done = rebuild(path, header, means.part(_ASKED, 1))
            run = store.Run.open(path)
            told = explain_vantage(run, name)
        found = tell_targets(run, told, wish.place)
    for target in found["targets"]:
        target["service"] = None if service.name == UNNAMED else service.name
        trace = traces.get(target["target"])
        target["path"] = None if trace is None else describe_path(trace, routers, service, target["target"], wish.place)
    return {
        "run": None if wish.out is None else str(wish.out),
        "vantage": name,
        "at": iso_time(int(start)),
        "place": None
        if wish.place is None
        else {key: getattr(wish.place, key) for key in ("name", "latitude", "longitude", "country")},
        "rate_per_s": wish.rate_per_s,
        "missing_privileges": missing,
        "remarks": [*remarks, *([] if routers.problem is None else [routers.problem]), *done.warnings],
        **found,
    }


def _wanted(wish: Look) -> tuple[Service, list[Target]]:
    """Return the service that is meant, and which of its addresses to ask. Raises CatchmentError."""
    try:
        parsed = ipaddress.ip_address(wish.what.strip())
    except ValueError:
        service = _named(wish.what)
        current = [entry for entry in service.addresses if entry.until is None and wish.af in (None, entry.af)]
        first = {entry.af: entry.address for entry in reversed(current)}
        if not first:
            raise UnknownName(f"'{service.name}' has no IPv{wish.af or 4} address today: ask for the other") from None
        return service, [Target(service=service.name, address=first[af]) for af in sorted(first)]
    parsed = getattr(parsed, "ipv4_mapped", None) or parsed  # by sockets of IPv6, but packets are of IPv4
    address = str(parsed)
    if parsed.is_multicast or parsed.is_unspecified or "%" in address:
        raise UnknownName(f"{address} is the address of no server: name that of one, or a service")
    target = Target(service=None, address=address)
    if wish.af not in (None, target.af):
        raise UnknownName(f"{address} is no IPv{wish.af} address: leave out -{wish.af}")
    owners = [one for one in usable_services()[0] if address in (entry.address for entry in one.addresses)]
    service = owners[-1] if owners else Service(name=UNNAMED, operator="", addresses=(Address(address=address),))
    return service, [replace(target, service=service.name)]


def _named(what: str) -> Service:
    """Return a service by its name or file. Raises CatchmentError, which tells how to mend what is neither."""
    names = known_names()
    if is_path(what):
        with suppress(ValueError):
            prefix = ipaddress.ip_network(what.strip(), strict=False)
            raise UnknownName(f"{prefix} is a prefix: name one address in it, that of a server")
    elif what not in names:
        otherwise = "that is no address either; name one (of a host, look it up), a TOML file, or a service"
        raise UnknownName(f"there is no service '{what}': {hint(what, names, otherwise)}")
    return find_service(what)


def _plan(wish: Look, service: Service, targets: Sequence[Target], *, is_privileged: bool) -> Campaign:
    return Campaign(
        name=_NAME,
        platform=PlatformName.LOCAL,
        targets=tuple(CampaignTarget(service=service.name, af=one.af, address=one.address) for one in targets),
        queries=tuple(_queries(service, is_privileged=is_privileged)),
        resolve_names=wish.with_names,
        local=Local(name=wish.name, place=None if wish.place is None else wish.place.name, rate_per_s=wish.rate_per_s),
    )


def _queries(service: Service, *, is_privileged: bool) -> Iterator[Query]:
    """Yield what to ask: first the identity query that is repeated, with NSID, then each other one once."""
    promised = [name for name in _IDENTITY_QUERIES if name in service.answers]
    for name in promised or _IDENTITY_QUERIES[: 1 if service.answers else None]:
        yield Query(kind=Kind.DNS, name=name)
    yield Query(kind=Kind.PING, packets=_PINGS)
    # Whoever may not ping may still trace by UDP.
    yield Query(kind=Kind.TRACEROUTE, protocol=None if is_privileged else Protocol.UDP, packets=_PACKETS_PER_HOP)


@contextmanager
def _folder(out: Path | None) -> Iterator[Path]:
    """Yield where the run shall be; one that nobody keeps is gone afterwards."""
    if out is not None:
        yield out
        return
    with throwaway_folder() as folder:
        yield folder / _NAME / "run"


@contextmanager
def _made(path: Path, header: Header) -> Iterator[None]:
    """Make a run; if it does not become whole, nothing of it is left: to look again takes seconds."""
    made = store.begin_run(path, header)
    try:
        yield
    except BaseException:
        if path.exists():
            store.discard_run(made)
        raise
