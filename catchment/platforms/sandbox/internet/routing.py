"""BGP as Gao and Rexford describe it: which site of an anycast service each network reaches, and by which way.

A network prefers what its customers tell it to what its peers tell it, and that to what its providers tell it; then the
shortest AS path; then the topology's tie-break. It tells everybody what it heard from customers, and its customers
everything (L. Gao, J. Rexford: Stable Internet Routing Without Global Coordination, 2001).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from catchment.errors import InvalidFile
from catchment.model import AddressFamily
from catchment.platforms.topology.elements import Link, Relation, TieBreak, Topology, Upstream
from catchment.platforms.topology.fibre import Ground, one_way_ms

FORWARDING_MS = 0.05
"""What one router adds to the way of a packet, one way."""

_CUSTOMER, _PEER, _PROVIDER = range(3)  # from whom a route was heard; lower is better
_FLIPPED = {_CUSTOMER: _PROVIDER, _PEER: _PEER, _PROVIDER: _CUSTOMER}


@dataclass(frozen=True, slots=True, kw_only=True)
class Announcement:
    """A service's prefix as one site announces it through one upstream network.

    Where `origin` is the upstream network itself, the network announces the prefix as its own. A `local` announcement
    carries NO_EXPORT. A `more_specific` one is of a longer prefix, which wins in every network that hears of it.
    """

    origin: int
    site: str
    latitude: float
    longitude: float
    upstream: Upstream
    local: bool = False
    more_specific: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Path:
    """The way of a packet to a site: the routers it meets as (AS number, place), and when, one way, it is at each.

    `as_path` begins with the sender's network and ends with the origin, without what anybody prepended.
    """

    site: str
    as_path: tuple[int, ...]
    hops: tuple[tuple[int, str], ...]
    delays_ms: tuple[float, ...]
    one_way_ms: float


@dataclass(frozen=True, slots=True, kw_only=True)
class _Exit:
    """A door out of a network: a link to another network, or to the site behind an announcement."""

    place: str
    far: int
    far_place: str
    delay_ms: float
    announcement: Announcement | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class _Neighbour:
    """A network that tells routes; `rank` says what it is to the hearer."""

    index: int
    rank: int
    exits: tuple[_Exit, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Best:
    """What a network holds: all routes that are equally good to it.

    `members` is a set of networks as the bits of an integer: all that any of the tied paths goes through. At the places
    in `silent_at` the route in use carries NO_EXPORT, so that the routers there tell nobody anything.
    """

    rank: int
    length: int
    members: int
    exits: tuple[_Exit, ...]
    silent_at: frozenset[str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Routes:
    """Where every network sends packets to one service; by prefix, the longest first."""

    ground: Ground
    doors: tuple[dict[int, tuple[_Exit, ...]], ...]
    _known: dict[tuple[int, str], Path | None] = field(default_factory=dict, init=False, repr=False, compare=False)

    def path(self, asn: int, place: str) -> Path | None:
        """Return the way from a network's router at a place; None where the network has no route."""
        if (asn, place) not in self._known:
            self._known[asn, place] = self._walk(asn, place)
        return self._known[asn, place]

    def _walk(self, asn: int, place: str) -> Path | None:
        hops, delays_ms, as_path, now_ms = [(asn, place)], [0.0], [asn], 0.0
        while True:
            exits = self._exits(asn)
            if exits is None:
                return None
            door = _nearest_exit(self.ground, exits, place)
            if door.place != place:
                now_ms += one_way_ms(self.ground.km(place, door.place)) + FORWARDING_MS
                hops.append((asn, door.place))
                delays_ms.append(now_ms)
            now_ms += door.delay_ms + FORWARDING_MS
            if door.far != asn:
                as_path.append(door.far)
            if door.announcement is not None:
                return Path(
                    site=door.announcement.site,
                    as_path=tuple(as_path),
                    hops=tuple(hops),
                    delays_ms=tuple(delays_ms),
                    one_way_ms=now_ms,
                )
            asn, place = door.far, door.far_place
            hops.append((asn, place))
            delays_ms.append(now_ms)

    def _exits(self, asn: int) -> tuple[_Exit, ...] | None:
        """Return the doors of a network for the longest prefix that it knows.

        Who hijacks the service has a server of its own, and sends nothing on to another, whatever that one announces.
        """
        known = [doors[asn] for doors in self.doors if asn in doors]
        own = [exits for exits in known if exits[0].far == asn]
        return next(iter(own or known), None)


def routes(
    topology: Topology,
    announcements: Sequence[Announcement],
    leakers: frozenset[int] = frozenset(),
    *,
    af: AddressFamily,
) -> Routes:
    """Let BGP settle and return where every network sends packets to the service's address of a family.

    Only links and upstreams that carry the family count. Networks in `leakers` also tell their providers and peers what
    they heard from other ones. Raises InvalidFile where the routes never settle, which only a leak can cause.
    """
    ground = Ground(topology.places)
    prefixes = [
        [told for told in announcements if told.more_specific == longer and told.upstream.af in {None, af}]
        for longer in (True, False)
    ]
    speakers = _Speakers(topology, ground, leakers, af)
    return Routes(ground=ground, doors=tuple(speakers.settle(prefix) for prefix in prefixes if prefix))


class _Speakers:
    """All networks of a topology, by the position of their AS number in order, and what they hear from whom."""

    def __init__(self, topology: Topology, ground: Ground, leakers: frozenset[int], af: AddressFamily) -> None:
        self.ground = ground
        self.lowest_id = topology.tie_break is TieBreak.LOWEST_ID
        self.asns = sorted(network.asn for network in topology.networks)
        self.index = {asn: index for index, asn in enumerate(self.asns)}
        self.leaks = [asn in leakers for asn in self.asns]
        self.neighbours = self._meet(link for link in topology.links if link.af in {None, af})
        self.places = [{door.place for neighbour in heard for door in neighbour.exits} for heard in self.neighbours]

    def settle(self, announcements: Sequence[Announcement]) -> dict[int, tuple[_Exit, ...]]:
        """Announce one prefix, and let networks tell one another until nothing changes any more."""
        told: defaultdict[int, list[Announcement]] = defaultdict(list)
        for announcement in announcements:
            told[self.index[announcement.upstream.asn]].append(announcement)
        best: list[_Best | None] = [None] * len(self.asns)
        waiting = set(told)
        # Up to the tier 1s, across, and down again: news passes a network a few times at most, if it ever settles.
        for _ in range(4 * len(self.asns) + 20):
            if not waiting:
                return {asn: held.exits for asn, held in zip(self.asns, best, strict=True) if held is not None}
            now, waiting = sorted(waiting), set()
            for index in now:
                held = self._decide(index, told[index], best)
                if held != best[index]:
                    best[index] = held
                    waiting.update(neighbour.index for neighbour in self.neighbours[index])
        names = ", ".join(f"AS {self.asns[index]}" for index in sorted(waiting)[:3])
        raise InvalidFile(f"the leaked routes never settle ({names} keep changing): name another `asn` for the leak")

    def _decide(self, index: int, told: list[Announcement], best: list[_Best | None]) -> _Best | None:
        """Choose among what a network hears now."""
        rank, length = _PROVIDER + 1, 0
        chosen: list[tuple[tuple[_Exit, ...], int]] = []
        for offered_rank, offered_length, exits, members in self._offers(index, told, best):
            if (offered_rank, offered_length) < (rank, length):
                rank, length, chosen = offered_rank, offered_length, [(exits, members)]
            elif (offered_rank, offered_length) == (rank, length):
                chosen.append((exits, members))
        if not chosen:
            return None
        if self.lowest_id:
            lowest = min(exits[0].far for exits, _ in chosen)
            chosen = [(exits, members) for exits, members in chosen if exits[0].far == lowest]
        doors = tuple(door for exits, _ in chosen for door in exits)
        networks = 1 << index
        for _, members in chosen:
            networks |= members
        silent_at = self._silent_at(index, doors)
        return _Best(rank=rank, length=length, members=networks, exits=doors, silent_at=silent_at)

    def _offers(
        self, index: int, told: list[Announcement], best: list[_Best | None]
    ) -> Iterable[tuple[int, int, tuple[_Exit, ...], int]]:
        """Yield what a network hears: whence, how long, through which doors and past which networks."""
        for announcement in told:
            door = (self._door(announcement),)
            if announcement.origin == self.asns[index]:
                yield _CUSTOMER, 0, door, 0
            else:
                rank = _CUSTOMER if announcement.upstream.relation is Relation.PROVIDER else _PEER
                origin = self.index.get(announcement.origin)
                yield rank, 1 + announcement.upstream.prepend, door, 0 if origin is None else 1 << origin
        for neighbour in self.neighbours[index]:
            held = best[neighbour.index]
            if held is None or held.members >> index & 1:
                continue
            if held.rank != _CUSTOMER and neighbour.rank != _PROVIDER and not self.leaks[neighbour.index]:
                continue
            exits = neighbour.exits
            if held.silent_at:
                exits = tuple(door for door in exits if door.far_place not in held.silent_at)
            if exits:
                yield neighbour.rank, held.length + 1, exits, held.members

    def _silent_at(self, index: int, doors: tuple[_Exit, ...]) -> frozenset[str]:
        """Return the places whose routers use a route with NO_EXPORT (RFC 1997).

        A router exports only the one route it uses. So where that one must not be exported it tells of no other either,
        though the network may know of one: a local site hides the global ones from the customers of its upstream.
        """
        if not any(_is_local(door) for door in doors):
            return frozenset()
        return frozenset(place for place in self.places[index] if _is_local(_nearest_exit(self.ground, doors, place)))

    def _door(self, announcement: Announcement) -> _Exit:
        upstream = announcement.upstream
        delay_ms = upstream.delay_ms
        if delay_ms is None:
            delay_ms = one_way_ms(self.ground.km_to(upstream.place, announcement.latitude, announcement.longitude))
        return _Exit(
            place=upstream.place,
            far=announcement.origin,
            far_place=announcement.site,
            delay_ms=delay_ms,
            announcement=announcement,
        )

    def _meet(self, links: Iterable[Link]) -> list[tuple[_Neighbour, ...]]:
        """Return for each network whom it hears, in the order of AS numbers."""
        doors: defaultdict[tuple[int, int, int], list[_Exit]] = defaultdict(list)
        for link in links:
            near, far = self.index[link.near], self.index[link.far]
            delay_ms = link.delay_ms
            if delay_ms is None:
                delay_ms = one_way_ms(self.ground.km(link.near_place, link.far_place))
            rank = _PROVIDER if link.relation is Relation.PROVIDER else _PEER
            doors[near, far, rank].append(
                _Exit(place=link.near_place, far=link.far, far_place=link.far_place, delay_ms=delay_ms)
            )
            doors[far, near, _FLIPPED[rank]].append(
                _Exit(place=link.far_place, far=link.near, far_place=link.near_place, delay_ms=delay_ms)
            )
        heard: list[list[_Neighbour]] = [[] for _ in self.asns]
        for (near, far, rank), exits in sorted(doors.items(), key=lambda item: item[0]):
            heard[near].append(_Neighbour(index=far, rank=rank, exits=tuple(exits)))
        return [tuple(neighbours) for neighbours in heard]


def _nearest_exit(ground: Ground, exits: tuple[_Exit, ...], place: str) -> _Exit:
    if len(exits) == 1:
        return exits[0]
    return min(exits, key=lambda door: (ground.km(place, door.place), door.far, door.place, door.far_place))


def _is_local(door: _Exit) -> bool:
    return door.announcement is not None and door.announcement.local
