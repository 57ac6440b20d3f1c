"""What happens to services: which sites announce, prepend, leak, hijack and fail, from one change to the next."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace

from catchment.campaign import Change, ChangeName
from catchment.errors import InvalidFile, UnknownName, hint
from catchment.model import AddressFamily
from catchment.platforms.topology.elements import AnycastService, AnycastSite, Relation, Topology, Upstream
from catchment.platforms.topology.hosting import add_site

_FOREIGN_IDENTITY = "ns1.hijacker.example"
_MOST_LISTED = 20
_OF_OTHERS = {ChangeName.LEAK: "leaks", ChangeName.HIJACK: "hijacks"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Hijack:
    """A network that announces a service's prefix, or a longer one, as its own; `site` is its server."""

    asn: int
    site: AnycastSite
    more_specific: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Epoch:
    """A time without changes: from `after_s` seconds after the start until `until_s` (None: for ever).

    `service` holds the sites as they are in it; at those in `failed`, by their codes, no server answers DNS. Networks
    in `leakers` tell their providers and peers what they heard from other ones.
    """

    after_s: float
    until_s: float | None
    service: AnycastService
    hijacks: tuple[Hijack, ...] = ()
    leakers: frozenset[int] = frozenset()
    failed: frozenset[str] = frozenset()

    @property
    def families(self) -> tuple[AddressFamily, ...]:
        """Return the address families of the service's addresses."""
        return tuple(sorted({family_of(address) for address in self.service.addresses}))

    def site(self, code: str) -> AnycastSite:
        """Return a site, or a hijacker's, by its code."""
        return next(site for site in (*self.service.sites, *self._false_sites()) if site.code == code)

    def is_hijacked(self, code: str) -> bool:
        """Tell whether a site's code is a hijacker's."""
        return any(site.code == code for site in self._false_sites())

    def _false_sites(self) -> list[AnycastSite]:
        return [hijack.site for hijack in self.hijacks]


def epochs(
    topology: Topology,
    changes: Iterable[Change],
    *,
    seed: int,
    measured: Sequence[str] = (),
    choose: Callable[[Change, Epoch], int] | None = None,
) -> dict[str, tuple[Epoch, ...]]:
    """Return the epochs of every service, by its name, in order; the first begins at 0.

    A change that names no service is one of the first service that has the site, or, where it names no site, of the
    first service; a leak then is one of all services. `measured` narrows these to the services of a campaign. `choose`
    says which network leaks or hijacks where the change names none; `seed` decides what a new site is like. Raises
    UnknownName where a change names what is not there at that time, and InvalidFile where it lacks a name.
    """
    history = {service.name: [Epoch(after_s=0.0, until_s=None, service=service)] for service in topology.services}
    ours = [name for name in measured if name in history] or list(history)
    for change in sorted(changes, key=lambda change: change.after_s):
        names = _concerned(change, history, ours)
        culprit = _culprit(change, history[names[0]][-1], topology, choose)
        for name in names:
            past = history[name]
            after_s = max(0.0, change.after_s)
            if culprit is None:
                changed = replace(_rearranged(past[-1], change, topology, seed), after_s=after_s)
            else:
                changed = replace(misled(past[-1], change, culprit, topology), after_s=after_s)
            if past[-1].after_s == after_s:
                past[-1] = changed
            else:
                past[-1:] = [replace(past[-1], until_s=after_s), changed]
    return {name: tuple(past) for name, past in history.items()}


def misled(epoch: Epoch, change: Change, asn: int, topology: Topology) -> Epoch:
    """Return the epoch after another network leaked or hijacked the service's routes."""
    if change.change is ChangeName.LEAK:
        return replace(epoch, leakers=epoch.leakers | {asn})
    return replace(epoch, hijacks=(*epoch.hijacks, _hijack(change, asn, topology)))


def family_of(address: str) -> AddressFamily:
    """Return the family of an address."""
    return 6 if ":" in address else 4


def _concerned(change: Change, history: dict[str, list[Epoch]], ours: list[str]) -> list[str]:
    """Return the names of the services that a change is about, after checking what it names."""
    if change.service is not None and change.service not in history:
        raise UnknownName(
            f"change '{change.change}': there is no service '{change.service}': {_near(change.service, history)}"
        )
    names = ours if change.service is None else [change.service]
    if not names:
        raise UnknownName(f"change '{change.change}': the topology has no service: add one, or remove the change")
    if change.change is ChangeName.LEAK:
        return names
    if change.change is ChangeName.HIJACK:
        return names[:1]
    if change.site is None:
        raise InvalidFile(f"change '{change.change}' names no site: add `site`, the code of one")
    codes = {name: [site.code for site in history[name][-1].service.sites] for name in names}
    code = change.site.lower()
    having = [name for name in names if code in codes[name]]
    if change.change is ChangeName.NEW_SITE:
        if names[0] in having:
            raise InvalidFile(
                f"change 'new-site': {names[0]} has a site '{code}' already: use 'announce', or another town"
            )
        return names[:1]
    if not having:
        known = [code for name in names for code in codes[name]]
        raise UnknownName(f"change '{change.change}': {names[0]} has no site '{code}' then: {_near(code, known)}")
    return having[:1]


def _culprit(
    change: Change, epoch: Epoch, topology: Topology, choose: Callable[[Change, Epoch], int] | None
) -> int | None:
    """Return the AS number of who leaks or hijacks, None for a change of the service's own."""
    if change.change not in _OF_OTHERS:
        return None
    if change.asn is None:
        if choose is None:
            does = _OF_OTHERS[change.change]
            raise InvalidFile(f"change '{change.change}' names no network: add `asn`, the AS number of who {does}")
        return choose(change, epoch)
    asns = [str(network.asn) for network in topology.networks]
    if change.asn in {service.asn for service in topology.services}:
        known = ", ".join(asns[:_MOST_LISTED])
        raise UnknownName(f"change '{change.change}': AS {change.asn} is a service's own: name one of {known}")
    if str(change.asn) not in asns:
        raise UnknownName(f"change '{change.change}': there is no AS {change.asn}: {_near(str(change.asn), asns)}")
    return change.asn


def _rearranged(epoch: Epoch, change: Change, topology: Topology, seed: int) -> Epoch:
    """Return the epoch after something happened to a site."""
    code = "" if change.site is None else change.site.lower()
    match change.change:
        case ChangeName.NEW_SITE:
            present = replace(topology, services=(epoch.service,))  # with the sites that are new themselves
            site = add_site(present, epoch.service.name, code, seed=seed)
            return replace(epoch, service=replace(epoch.service, sites=(*epoch.service.sites, site)))
        case ChangeName.FAIL:
            return replace(epoch, failed=epoch.failed | {code})
        case ChangeName.RECOVER:
            return replace(epoch, failed=epoch.failed - {code})
        case ChangeName.PREPEND:
            return _with_site(epoch, code, lambda site: _prepending(site, change.prepend))
        case _:
            announced = change.change is ChangeName.ANNOUNCE
            return _with_site(epoch, code, lambda site: replace(site, announced=announced))


def _with_site(epoch: Epoch, code: str, alter: Callable[[AnycastSite], AnycastSite]) -> Epoch:
    sites = tuple(alter(site) if site.code == code else site for site in epoch.service.sites)
    return replace(epoch, service=replace(epoch.service, sites=sites))


def _prepending(site: AnycastSite, times: int) -> AnycastSite:
    return replace(site, upstreams=tuple(replace(upstream, prepend=times) for upstream in site.upstreams))


def _hijack(change: Change, asn: int, topology: Topology) -> Hijack:
    network = next(network for network in topology.networks if network.asn == asn)
    place = next(place for place in topology.places if place.code == network.places[0])
    server = AnycastSite(
        code=f"as{network.asn}",
        place=place.code,
        latitude=place.latitude,
        longitude=place.longitude,
        identities=(_FOREIGN_IDENTITY,),
        upstreams=(Upstream(asn=network.asn, relation=Relation.PROVIDER, place=place.code),),
    )
    return Hijack(asn=network.asn, site=server, more_specific=change.more_specific)


def _near(name: str, known: Iterable[str]) -> str:
    listed = sorted(known)
    return hint(name, listed, f"there are {', '.join(listed[:_MOST_LISTED])}", cutoff=0.4)
