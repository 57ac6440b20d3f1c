"""Which probes: chosen here before anything is posted, by a seed, so that all measurements ask the same ones."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Iterable, Iterator, Sequence, Set
from typing import Any

from catchment.campaign import VantagePoints
from catchment.errors import PlatformFailed, UnknownName, hint
from catchment.geo import CONTINENTS
from catchment.model import Target
from catchment.platforms.atlas.client import Atlas

Probe = dict[str, Any]
Progress = Callable[[str, float], None]

WORKS = {4: "system-ipv4-works", 6: "system-ipv6-works"}
"""Tags that RIPE Atlas gives, every four hours, to probes whose IPv4 or IPv6 works."""

_EVERYWHERE = "WW"
_CONNECTED = 1
_PAGE = 500  # the API refuses larger ones
_IDS_AT_ONCE = 500  # keeps the address of a request below 8 kB, commas encoded


def choose(
    atlas: Atlas, wanted: VantagePoints, families: Set[int], *, seed: int, progress: Progress = lambda *_: None
) -> list[Probe]:
    """Return the probes to ask (the API's own objects), ordered by id.

    Sources add up, tags narrow them. Probes asked for by id are all kept if connected; of the others as many as make up
    `count`, drawn by the seed: probes that come and go between two draws change only their own places. Each works in at
    least one of the address families. Raises UnknownName and PlatformFailed.
    """
    narrowed = frozenset(wanted.include_tags), frozenset(wanted.exclude_tags)
    connected = {"status": _CONNECTED, "is_public": True, "page_size": _PAGE}
    named = {
        probe["id"]: probe
        for probe in _by_id(atlas, wanted.ids, connected, progress)
        if _fits(probe, *narrowed) and any(works(probe, af) for af in families)
    }
    if len(named) < len(set(wanted.ids)):
        left_out = sorted(set(wanted.ids) - named.keys())
        atlas.warnings.append(
            f"{len(left_out)} of the probes named are left out (not connected, or tags do not fit): {_some(left_out)}"
        )
    others: dict[int, Probe] = {}
    for af in sorted(families):
        tags = [WORKS[af], *wanted.include_tags]
        for source in _sources(wanted, af):
            for probe in _listed(atlas, connected | {"tags": tags} | source, progress):
                if probe["id"] not in named and _fits(probe, frozenset(tags), narrowed[1]):
                    others[probe["id"]] = probe
    drawn = sorted(others, key=lambda number: _rank(seed, number))[: max(0, wanted.count - len(named))]
    chosen = named | {number: others[number] for number in drawn}
    if not chosen:
        raise PlatformFailed(
            f"{atlas.endpoint.server}: no connected probe fits the campaign's vantage points: ask for more countries, "
            "ASNs or ids, or for fewer tags"
        )
    only_ids = wanted.ids and not wanted.countries and not wanted.asns
    if len(chosen) < wanted.count and not only_ids:
        atlas.warnings.append(f"only {len(chosen)} connected probes fit the campaign, which wants {wanted.count}")
    progress(f"{len(chosen)} probes chosen", 1.0)
    return [chosen[number] for number in sorted(chosen)]


def describe(atlas: Atlas, ids: Iterable[int], progress: Progress = lambda *_: None) -> list[Probe]:
    """Return the probes of these ids, connected or not, ordered by id; the API may not know all of them."""
    return sorted(_by_id(atlas, ids, {"page_size": _PAGE}, progress), key=lambda probe: int(probe["id"]))


def works(probe: Probe, af: int) -> bool:
    """Tell whether a probe can reach anything in an address family."""
    return WORKS[af] in _tags(probe)


def whom_not_asked(probes: Sequence[Probe], targets: Sequence[Target]) -> Iterator[str]:
    """Say how many of the probes chosen are not asked about some targets, as their address family does not work."""
    for af in sorted({target.af for target in targets}):
        lacking = sum(not works(probe, af) for probe in probes)
        if lacking:
            yield (
                f"{lacking} of {len(probes)} vantage points have no working IPv{af} and were not asked about "
                f"{_some([target.address for target in targets if target.af == af])}"
            )


def _sources(wanted: VantagePoints, af: int) -> Iterator[dict[str, Any]]:
    """Yield the filters whose probes add up; the area counts only where nothing else is named."""
    if wanted.countries:
        yield {"country_code__in": [_country(code) for code in wanted.countries]}
    if wanted.asns:
        yield {f"asn_v{af}__in": wanted.asns}
    if wanted.countries or wanted.asns or wanted.ids:
        return
    if wanted.area.upper() == _EVERYWHERE:
        yield {}
        return
    if wanted.area.lower() not in CONTINENTS:
        known = [_EVERYWHERE, *CONTINENTS]
        nearest = hint(wanted.area.lower(), known, f"there are {', '.join(known)}")
        raise UnknownName(f"there is no area '{wanted.area}': {nearest}")
    yield {"country_code__in": CONTINENTS[wanted.area.lower()].split()}


def _country(code: str) -> str:
    if not re.fullmatch(r"[A-Za-z]{2}", code):
        raise UnknownName(f"there is no country '{code}': give the two letters of ISO 3166, such as NL")
    return code.upper()


def _by_id(atlas: Atlas, ids: Iterable[int], filters: dict[str, Any], progress: Progress) -> Iterator[Probe]:
    wanted = sorted(set(ids))
    for start in range(0, len(wanted), _IDS_AT_ONCE):
        progress(f"{start} of {len(wanted)} probes looked up", start / len(wanted))
        yield from _listed(atlas, filters | {"id__in": wanted[start : start + _IDS_AT_ONCE]}, lambda *_: None)


def _listed(atlas: Atlas, filters: dict[str, Any], progress: Progress) -> Iterator[Probe]:
    seen = 0
    for probes, count in atlas.batches("/probes/", **filters):
        yield from (probe for probe in probes if isinstance(probe, dict) and isinstance(probe.get("id"), int))
        seen += len(probes)
        progress(f"{seen} of {count} probes looked at", min(1.0, seen / max(count, 1)))


def _fits(probe: Probe, include: frozenset[str], exclude: frozenset[str]) -> bool:
    return include <= _tags(probe) and not exclude & _tags(probe)


def _tags(probe: Probe) -> set[str]:
    tags = probe.get("tags")
    return {str(tag.get("slug") if isinstance(tag, dict) else tag) for tag in tags} if isinstance(tags, list) else set()


def _rank(seed: int, number: int) -> bytes:
    return hashlib.sha256(f"{seed} {number}".encode()).digest()


def _some(things: Sequence[object]) -> str:
    return ", ".join(map(str, things[:10])) + (", …" if len(things) > 10 else "")
