"""The choice itself: read who is there, keep whom the campaign may ask, draw so many of them."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Iterator, Sequence, Set
from dataclasses import dataclass, replace

from catchment.campaign import Asked, VantagePoints
from catchment.errors import PlatformFailed
from catchment.model import Target
from catchment.platforms.atlas.client import Atlas
from catchment.platforms.atlas.selecting.drawing import Quota, draw
from catchment.platforms.atlas.selecting.listing import Progress, by_id, describe, listed, members
from catchment.platforms.atlas.selecting.probes import Probe, asn, country, is_connected, works
from catchment.platforms.atlas.selecting.sources import Conditions, Sources, is_named, tags_for

_NOBODY = "no connected probe fits the campaign's vantage points: name more sources, or fewer conditions"


@dataclass(frozen=True, slots=True)
class Choice:
    """Who is asked, ordered by id, and what the user should know of it."""

    probes: list[Probe]
    remarks: list[str]


def choose(
    atlas: Atlas, wanted: VantagePoints, families: Set[int], *, seed: int, progress: Progress = lambda *_: None
) -> list[Probe]:
    """Return the probes to ask (the API's own objects), ordered by id, as `pick` picks them.

    With `same_as` they are those of that run, connected or not; the campaign's `asked` holds them. What the user should
    know is put among the warnings. Raises UnknownName and PlatformFailed.
    """
    if wanted.same_as is not None:
        choice = _same(describe(atlas, _everybody(wanted.asked), progress), wanted)
    else:
        of_measurements = members(atlas, wanted.measurements)
        candidates = _candidates(atlas, wanted, families, of_measurements, progress)
        choice = pick(candidates, wanted, families, seed=seed, members=of_measurements)
    if not choice.probes:
        raise PlatformFailed(f"{atlas.endpoint.server}: {_NOBODY}")
    atlas.warnings.extend(choice.remarks)
    progress(f"{len(choice.probes)} probes chosen", 1.0)
    return choice.probes


def pick(
    probes: Iterable[Probe],
    wanted: VantagePoints,
    families: Set[int],
    *,
    seed: int,
    members: frozenset[int] = frozenset(),
) -> Choice:
    """Choose among probes, given in any order, by what the campaign says and nothing else. Raises UnknownName.

    Sources add up, conditions narrow them. Probes named by id are all taken if they meet the conditions; of the others
    as many as make up `count`, drawn by the seed: probes that come and go between two draws change only their own
    places. Each works in at least one of the address families. Of one AS, in each family, and of one country there are
    at most as many as the campaign says, those named by id included; those of whom nobody knows it count as of one.
    """
    conditions, sources = Conditions(wanted, families), Sources.of(wanted, members)
    barred = frozenset(wanted.leave_out.ids) if wanted.leave_out is not None else frozenset()
    fitting = {probe["id"]: probe for probe in probes if conditions.met_by(probe)}
    names = frozenset(wanted.ids)
    others = [one for one in fitting.values() if one["id"] not in names and sources.describe(one, families)]
    quotas = list(_quotas(wanted, families))
    named = [fitting[number] for number in sorted(names & fitting.keys() - barred)]
    first = draw(named, len(named), seed=seed, quotas=quotas)
    allowed = [one for one in others if one["id"] not in barred]
    lacking = wanted.count - len(first)
    rest = draw(allowed, lacking, seed=seed, quotas=quotas, spread=wanted.spread, beside=first)
    chosen = sorted(first + rest, key=lambda probe: int(probe["id"]))
    remarks = []
    absent = sorted(names - {probe["id"] for probe in first})
    if absent:
        remarks.append(
            f"{len(absent)} of the probes named are left out (not connected, or the campaign's conditions do not allow "
            f"them): {_some(absent)}"
        )
    out = len(others) - len(allowed)
    if out:
        remarks.append(f"left out, as `leave_out` says: {out} that would fit")
    only_ids = not is_named(replace(wanted, ids=())) and bool(names)
    if len(chosen) < wanted.count and not only_ids:
        remarks.append(_too_few(len(chosen), len(named) + len(allowed), wanted))
    return Choice(chosen, remarks)


def asked(probes: Iterable[Probe], af: int, wanted: VantagePoints) -> list[int]:
    """Return the ids, rising, of those among the probes that are asked over IPv4 or over IPv6: those where it works.

    With `same_as` it is those whom that run asked, whether it works today or not; if it asked nobody over this family,
    again those where it works.
    """
    before = wanted.asked and (wanted.asked.v4 if af == 4 else wanted.asked.v6)
    if before:
        return sorted({int(probe["id"]) for probe in probes} & {*before})
    return sorted(int(probe["id"]) for probe in probes if works(probe, af))


def whom_not_asked(
    probes: Sequence[Probe], targets: Sequence[Target], wanted: VantagePoints | None = None
) -> Iterator[str]:
    """Say how many of the probes chosen are not asked about some targets, as their address family does not work."""
    wanted = wanted or VantagePoints()
    for af in sorted({target.af for target in targets}):
        lacking = len(probes) - len(asked(probes, af, wanted))
        if lacking:
            why = f"have no working IPv{af}" if wanted.same_as is None else f"were not asked over IPv{af} before"
            addresses = _some([target.address for target in targets if target.af == af])
            yield f"{lacking} of {len(probes)} vantage points {why} and were not asked about {addresses}"


def _candidates(
    atlas: Atlas, wanted: VantagePoints, families: Set[int], of_measurements: frozenset[int], progress: Progress
) -> Iterator[Probe]:
    """Yield whom the API finds, some of them twice; it leaves to `pick` what it cannot test."""
    filters = Conditions(wanted, families).filters()
    sources = Sources.of(wanted, of_measurements)
    yield from by_id(atlas, wanted.ids, filters, progress)
    for af in sorted(families):
        tagged = filters | {"tags": tags_for(wanted, af)}
        yield from by_id(atlas, of_measurements, tagged, progress)
        for source in sources.filters(af):
            yield from listed(atlas, tagged | source, progress)


def _same(found: list[Probe], wanted: VantagePoints) -> Choice:
    """Return all whom a run asked, also those of whom the API knows nothing more."""
    known = {probe["id"] for probe in found}
    unknown: list[Probe] = [{"id": number, "tags": []} for number in _everybody(wanted.asked) - known]
    away = sorted({probe["id"] for probe in found if not is_connected(probe)} | {probe["id"] for probe in unknown})
    probes = sorted([*found, *unknown], key=lambda probe: int(probe["id"]))
    remarks = [
        f"{len(away)} of the {len(probes)} vantage points of {wanted.same_as} are not connected today, and are asked "
        f"all the same: {_some(away)}"
    ]
    return Choice(probes, remarks if away else [])


def _everybody(asked: Asked | None) -> set[int]:
    if asked is None:
        raise ValueError("whom `same_as` asked has to be looked up before anybody is chosen")
    return {*asked.v4, *asked.v6}


def _quotas(wanted: VantagePoints, families: Set[int]) -> Iterator[Quota]:
    def asns(probe: Probe) -> Iterator[Hashable]:
        return ((af, asn(probe, af)) for af in families if works(probe, af))

    if wanted.most_per_asn is not None:
        yield Quota(wanted.most_per_asn, asns)
    if wanted.most_per_country is not None:
        yield Quota(wanted.most_per_country, lambda probe: [country(probe)])


def _too_few(found: int, fitting: int, wanted: VantagePoints) -> str:
    if fitting == found:
        return f"only {found} connected probes fit the campaign, which wants {wanted.count}"
    most = [(wanted.most_per_asn, "of an AS"), (wanted.most_per_country, "of a country")]
    allowed = " and ".join(f"{number} {what}" for number, what in most if number is not None)
    there = f"{fitting} fit the campaign, but it allows at most {allowed}"
    return f"only {found} connected probes are asked, not {wanted.count}: {there}"


def _some(things: Sequence[object]) -> str:
    return ", ".join(map(str, things[:10])) + (", …" if len(things) > 10 else "")
