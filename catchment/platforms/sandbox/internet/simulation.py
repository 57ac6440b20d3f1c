"""The simulated Internet: what comes back to a vantage point that asks, pings or traces an address.

All chance is drawn from the seed and what is asked (vantage point, address, kind, turn), never from a clock, so the
same campaign gives the same replies however fast it runs. The time only selects which route changes have happened.
"""

from __future__ import annotations

import ipaddress
import random
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from functools import partial

from catchment.campaign import Change
from catchment.geo import arc_km
from catchment.model import AddressFamily
from catchment.platforms.sandbox.internet.addresses import Routers
from catchment.platforms.sandbox.internet.announcing import announcements, choose_culprit
from catchment.platforms.sandbox.internet.replies import Hop, Lost, Reply
from catchment.platforms.sandbox.internet.routing import Path, Routes, routes
from catchment.platforms.topology.elements import (
    AnycastService,
    AnycastSite,
    Interception,
    Interceptor,
    Topology,
    Trouble,
    VantagePoint,
)
from catchment.platforms.topology.epochs import Epoch, epochs, family_of
from catchment.platforms.topology.fibre import Ground, one_way_ms

_LOSS = 0.01  # of single packets, for everybody
_SILENT_ROUTERS = 0.08
_HOME_MS = 0.4  # to the router of a home, and the mean of what is added by chance
_TRACEROUTE_PACKETS = 3
_FOREIGN_IDENTITY = "cache1.resolver.example"
_UNREADABLE = "%"  # stands in no identity, and was seen in real damaged ones: jfk1b.c.root%servers.org


@dataclass(frozen=True, slots=True, kw_only=True)
class Way:
    """The way of packets from a vantage point to a site: the last mile to its place, then `path`.

    `access_ms`, one way, is the cable from there to its network's nearest router, where it has none at the place.
    """

    site: AnycastSite
    path: Path
    access_ms: float
    last_mile_ms: float

    @property
    def round_trip_ms(self) -> float:
        """Return the round trip without jitter, in ms; no reply is faster."""
        return self.until(self.path.one_way_ms)

    def until(self, delay_ms: float) -> float:
        """Return the round trip to a router that is `delay_ms` down the path."""
        return self.last_mile_ms + 2 * (self.access_ms + delay_ms)


class Internet:
    """A topology in which packets move. Routes are worked out when needed, once for a service, epoch and family.

    `measured` names the services that a campaign measures: those that a change is about which names no service. Raises
    UnknownName where a change names what is not there, and InvalidFile where it lacks a name or a leak never settles.
    """

    def __init__(
        self, topology: Topology, *, seed: int = 1, changes: Iterable[Change] = (), measured: Sequence[str] = ()
    ) -> None:
        self.topology = topology
        self.seed = seed
        choose = partial(choose_culprit, topology, seed=seed)
        self.epochs = epochs(topology, changes, seed=seed, measured=measured, choose=choose)
        self._services = {
            ipaddress.ip_address(address): service for service in topology.services for address in service.addresses
        }
        self._places = {network.asn: network.places for network in topology.networks}
        self._ground = Ground(topology.places)
        self._interceptors = {
            vantage: interceptor for interceptor in topology.interceptors for vantage in interceptor.vantage_points
        }
        self._routers = Routers(topology)
        self._routes: dict[tuple[str, float, AddressFamily], Routes] = {}
        self._ways: dict[tuple[VantagePoint, int, str, float, AddressFamily], Way | None] = {}
        for past in self.epochs.values():
            for epoch in past:
                for af in epoch.families if epoch.leakers else ():
                    self._routes_of(epoch, af)  # a leak may never settle: better told now than amid a campaign

    def reports(self, vantage: VantagePoint) -> bool:
        """Tell whether a vantage point ever reports a result."""
        return vantage.connected and vantage.trouble is not Trouble.OFFLINE

    def dns(
        self, vantage: VantagePoint, address: str, name: str | None, *, nsid: bool, after_s: float, turn: int
    ) -> Reply | Lost:
        """Ask for the CHAOS TXT `name` (None: another question), with or without NSID (RFC 5001)."""
        if _cannot_send(vantage, address):
            return Lost(reason="cannot-send")
        draw = _draw(self.seed, vantage.id, address, "dns", name, turn)
        if draw.random() < _LOSS or vantage.trouble in {Trouble.CUT_OFF, Trouble.DNS_BLOCKED}:
            return Lost(reason="timeout")
        jitter_ms = _jitter_ms(draw, vantage)
        epoch = self._epoch(address, after_s)
        interceptor = self._interceptors.get(vantage.id)
        second = self._is_second(vantage, turn)
        if interceptor is not None:
            rtt_ms = vantage.last_mile_ms + draw.uniform(1, 8) + jitter_ms
            reply = self._intercepted(vantage, interceptor, epoch, name, nsid=nsid, rtt_ms=rtt_ms)
            reply = replace(reply, authoritative=False)
        else:
            way = None if epoch is None else self.way(vantage, epoch, family_of(address), second=second)
            if epoch is None or way is None or way.site.code in epoch.failed:
                return Lost(reason="timeout")
            rtt_ms = way.round_trip_ms + draw.uniform(0.1, 0.5) + jitter_ms
            server = _draw(self.seed, vantage.id, address, "server", turn).choice(way.site.identities)
            reply = _answer(epoch.service, server, name, nsid=nsid, rtt_ms=rtt_ms)
            reply = replace(reply, authoritative=not epoch.is_hijacked(way.site.code))
        return self._spoilt(vantage, reply)

    def ping(
        self, vantage: VantagePoint, address: str, packets: int, *, after_s: float, turn: int
    ) -> tuple[float | None, ...] | Lost:
        """Send echo requests and return each one's round trip in ms; None where no reply came back."""
        way = self._way_of_echo(vantage, address, after_s=after_s, turn=turn)
        if isinstance(way, Lost):
            return way
        draw = _draw(self.seed, vantage.id, address, "ping", turn)
        rtts_ms = [(draw.random(), way.round_trip_ms + _jitter_ms(draw, vantage)) for _ in range(packets)]
        return tuple(None if luck < _LOSS else rtt_ms for luck, rtt_ms in rtts_ms)

    def traceroute(self, vantage: VantagePoint, address: str, *, after_s: float, turn: int) -> tuple[Hop, ...] | Lost:
        """Return the routers on the way to an address, and the address itself where it was reached."""
        way = self._way_of_echo(vantage, address, after_s=after_s, turn=turn)
        if isinstance(way, Lost):
            return way
        draw, af = _draw(self.seed, vantage.id, address, "traceroute", turn), family_of(address)
        home = self._routers.home(vantage, af)
        stations: list[tuple[str | None, float]] = [
            (None if self._is_silent(asn, place) else self._routers.address(asn, place, af), way.until(delay_ms))
            for (asn, place), delay_ms in zip(way.path.hops, way.path.delays_ms, strict=True)
        ]
        stations.append((None if draw.random() < _LOSS else address, way.round_trip_ms))
        hops = []
        if home is not None:
            near_ms = min(_HOME_MS, vantage.last_mile_ms)
            sent = [(draw.random(), near_ms + draw.expovariate(1 / _HOME_MS)) for _ in range(_TRACEROUTE_PACKETS)]
            hops.append(_hop(1, home, sent))
        for number, (router, rtt_ms) in enumerate(stations, start=len(hops) + 1):
            sent = [(draw.random(), rtt_ms + _jitter_ms(draw, vantage)) for _ in range(_TRACEROUTE_PACKETS)]
            hops.append(_hop(number, router, sent))
        return tuple(hops)

    def way(self, vantage: VantagePoint, epoch: Epoch, af: AddressFamily, *, second: bool = False) -> Way | None:
        """Return the way from a vantage point to a service's address of a family in an epoch.

        `second`: by its network's other upstream.
        """
        asn = vantage.second_asn if second and vantage.second_asn is not None else vantage.asn
        key = (vantage, asn, epoch.service.name, epoch.after_s, af)
        if key not in self._ways:
            self._ways[key] = self._find_way(vantage, asn, epoch, af)
        return self._ways[key]

    def interception(self, vantage: VantagePoint) -> Interception | None:
        """Return what an interceptor does to the vantage point's DNS, if there is one."""
        interceptor = self._interceptors.get(vantage.id)
        return None if interceptor is None else interceptor.answer

    def _find_way(self, vantage: VantagePoint, asn: int, epoch: Epoch, af: AddressFamily) -> Way | None:
        places = self._places.get(asn, ())
        if not places:
            return None
        place = self._ground.nearest(places, vantage.place)
        path = self._routes_of(epoch, af).path(asn, place)
        if path is None:
            return None
        return Way(
            site=epoch.site(path.site),
            path=path,
            access_ms=one_way_ms(self._ground.km(vantage.place, place)),
            last_mile_ms=vantage.last_mile_ms,
        )

    def _way_of_echo(self, vantage: VantagePoint, address: str, *, after_s: float, turn: int) -> Way | Lost:
        if _cannot_send(vantage, address):
            return Lost(reason="cannot-send")
        epoch = self._epoch(address, after_s)
        if epoch is None or vantage.trouble is Trouble.CUT_OFF:
            return Lost(reason="timeout")
        second = self._is_second(vantage, turn)
        return self.way(vantage, epoch, family_of(address), second=second) or Lost(reason="timeout")

    def _epoch(self, address: str, after_s: float) -> Epoch | None:
        """Return what is announced at a time of the service at an address; None where nobody has the address."""
        service = self._services.get(ipaddress.ip_address(address))
        if service is None:
            return None
        past = self.epochs[service.name]
        return next((epoch for epoch in reversed(past) if epoch.after_s <= after_s), past[0])

    def _routes_of(self, epoch: Epoch, af: AddressFamily) -> Routes:
        key = (epoch.service.name, epoch.after_s, af)
        if key not in self._routes:
            self._routes[key] = routes(self.topology, announcements(epoch), epoch.leakers, af=af)
        return self._routes[key]

    def _intercepted(
        self,
        vantage: VantagePoint,
        interceptor: Interceptor,
        epoch: Epoch | None,
        name: str | None,
        *,
        nsid: bool,
        rtt_ms: float,
    ) -> Reply:
        match interceptor.answer:
            case Interception.FOREIGN:
                text = None if name is None else interceptor.identity or _FOREIGN_IDENTITY
                # Some boxes answer CHAOS questions in the class IN: every other vantage point has such a one.
                wrong = vantage.id % 2 == 1
                return Reply(rtt_ms=rtt_ms, rcode="NOERROR", text=text, nsid=None, answer_class="IN" if wrong else "CH")
            case Interception.REFUSED:
                return Reply(rtt_ms=rtt_ms, rcode="REFUSED", text=None, nsid=None)
            case Interception.REPLAY if epoch is not None:
                farthest = max(
                    epoch.service.sites,
                    key=lambda site: arc_km(vantage.latitude, vantage.longitude, site.latitude, site.longitude),
                )
                return _answer(epoch.service, farthest.identities[0], name, nsid=nsid, rtt_ms=rtt_ms)
            case _:
                return Reply(rtt_ms=rtt_ms, rcode="NOERROR", text=None, nsid=None)

    def _spoilt(self, vantage: VantagePoint, reply: Reply) -> Reply:
        """Return the reply as a troubled vantage point gets it."""
        if vantage.trouble is Trouble.GARBLED:
            return replace(reply, garbled=True)
        if vantage.trouble is Trouble.DAMAGED:
            luck = _draw(self.seed, vantage.id, "damage").random()
            return replace(reply, text=_damaged(reply.text, luck), nsid=_damaged(reply.nsid, luck))
        return reply

    def _is_second(self, vantage: VantagePoint, turn: int) -> bool:
        """Tell whether a flapping vantage point's network uses its other upstream in a turn, for all addresses."""
        if vantage.trouble is not Trouble.FLAPPING:
            return False
        return _draw(self.seed, vantage.id, "flap", turn).random() < 0.5

    def _is_silent(self, asn: int, place: str) -> bool:
        """Tell whether a network's router at a place never answers."""
        return _draw(self.seed, asn, place, "silent").random() < _SILENT_ROUTERS


def _draw(*key: object) -> random.Random:
    """Return chance that is the same for the same key."""
    return random.Random("/".join(map(str, key)))  # noqa: S311  (no secret)


def _hop(number: int, router: str | None, sent: Sequence[tuple[float, float]]) -> Hop:
    """Return what is seen of a router to which packets were sent, each with its luck and round trip."""
    rtts_ms = tuple(rtt_ms for luck, rtt_ms in sent if luck >= _LOSS and router is not None)
    return Hop(number=number, address=router if rtts_ms else None, rtts_ms=rtts_ms)


def _cannot_send(vantage: VantagePoint, address: str) -> bool:
    return vantage.trouble is Trouble.CANNOT_SEND or (family_of(address) == 6 and not vantage.ipv6)


def _jitter_ms(draw: random.Random, vantage: VantagePoint) -> float:
    """Draw what queues add to a round trip: mostly little, more where the last mile is slow."""
    return draw.expovariate(1 / max(1.0, vantage.last_mile_ms / 8))


def _answer(service: AnycastService, identity: str, name: str | None, *, nsid: bool, rtt_ms: float) -> Reply:
    """Return what a service's server answers; it refuses CHAOS names that are not among its `answers`."""
    answers = name is not None and name.lower() in service.answers
    return Reply(
        rtt_ms=rtt_ms,
        rcode="NOERROR" if answers or name is None else "REFUSED",
        text=identity if answers else None,
        nsid=identity if nsid and "nsid" in service.answers else None,
    )


def _damaged(identity: str | None, luck: float) -> str | None:
    """Replace one character of an identity: a dot, else a hyphen, else any; `luck`, from 0 to 1, says which."""
    if not identity:
        return identity
    found = next((mark for mark in ".-" if mark in identity), None)
    positions = [position for position, character in enumerate(identity) if found in (None, character)]
    position = positions[int(luck * len(positions))]
    return identity[:position] + _UNREADABLE + identity[position + 1 :]
