"""What the tables of a run tell of one vantage point in numbers: what it reached, how far that is, what it costs."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from enum import StrEnum
from itertools import groupby

from catchment import store
from catchment.assign.distances import active_sites, places_of
from catchment.geo import IMPOSSIBLE_KM_PER_MS, IMPOSSIBLE_SLACK_KM, distance_km
from catchment.metrics import Numbers, rounded
from catchment.model import PLACED, Kind, Service, Site, Window
from catchment.platforms.local.places import HostPlace
from catchment.workflow.explaining.cases import ACCUSED

Answer = tuple[int | None, str]
"""The source port of a query, where it is known, and what the answer to it says."""

_TOLD = ("site", "identity")  # what answers tell of where they came from


class Spread(StrEnum):
    """How answers to queries from several source ports, one after the other, differ."""

    ONE = "one"  # they do not
    BY_FLOW = "by-flow"  # now this, now that one: routers or servers choose by the flow
    OVER_TIME = "over-time"  # first this, then that one
    UNCLEAR = "unclear"  # too few to tell


def spread_of(answers: Sequence[Answer]) -> Spread | None:
    """Tell how answers differ, given in the order in which they were asked for; None where there are none.

    Of two servers that are chosen by flow, at random, eight answers come in two blocks once in 26 times and look like a
    change. So a change is what only a flow can tell that was asked before: now it gets another answer.
    """
    if not answers:
        return None
    texts = [text for _, text in answers]
    blocks = sum(1 for _ in groupby(texts))
    if blocks == 1:
        return Spread.ONE
    if blocks > len(set(texts)):
        return Spread.BY_FLOW
    first = dict(reversed(answers))
    has_moved = any(first[flow] != text for flow, text in answers if flow is not None)
    return Spread.OVER_TIME if has_moved else Spread.UNCLEAR


def unsettled(run: store.Run, told: Numbers) -> dict[int, int]:
    """Return what to ask again to settle how answers differ: measurements by id, each with the first answer's port."""
    again = {}
    for target in told["targets"]:
        _, sent = _repeated(run, target["observations"])
        unclear = [found for found in (_answers(sent, key) for key in _TOLD) if spread_of(found) is Spread.UNCLEAR]
        if unclear and unclear[0][0][0] is not None:
            again[int(sent[0]["measurement_id"])] = unclear[0][0][0]
    return again


def tell_targets(run: store.Run, told: Numbers, place: HostPlace | None) -> Numbers:
    """Return what a whole run tells of one vantage point, target by target, and the constants of light.

    `told` is what explain_vantage returns of it.
    """
    counted = {target["target"]: target for target in run.metrics["targets"]}
    services = {service.name: service for service in run.header.services}
    return {
        "targets": [
            _target(run, target, counted[target["target"]], services[target["service"]], place)
            for target in told["targets"]
        ],
        "constants": told["constants"],
    }


def _target(run: store.Run, told: Numbers, counted: Numbers, service: Service, place: HostPlace | None) -> Numbers:
    row = told["assignment"]
    is_placed = row["verdict"] in PLACED
    return {
        **{key: told[key] for key in ("service", "target", "af", "rule_meaning", "site_rule_meaning")},
        **{key: row[key] for key in ("verdict", "rule", "site_rule", "confidence", "server", "identity")},
        "site": _site(service, row["site"], row["distance_km"]),
        "nearest": _site(service, row["nearest_site"], row["nearest_km"]) if row["nearest_km"] is not None else None,
        "is_nearest": row["site"] == row["nearest_site"] if is_placed and row["nearest_site"] is not None else None,
        "rtt_ms": {"min": row["rtt_ms_min"], "median": row["rtt_ms_median"], "ping_min": row["ping_ms_min"]},
        # Of one vantage point the median of all is its own.
        "geographic_inflation_ms": counted["geographic_inflation_ms"]["p50"],
        "latency_inflation_ms": counted["latency_inflation_ms"]["p50"],
        "light": _light(row, service, place),
        "flows": _flows(run, told["observations"]),
        "identities": _identities(told["observations"]),
        **{key: told[key] for key in ("explanation", "refusals", "lost")},
    }


def _site(service: Service, code: str | None, distance_km: float | None) -> Numbers | None:
    if code is None:
        return None
    known = next((site for site in service.sites if site.code == code), None)
    town, country = (None, None) if known is None else (known.town, known.country)
    return {"site": code, "town": town, "country": country, "distance_km": distance_km}


def _light(row: Numbers, service: Service, place: HostPlace | None) -> Numbers | None:
    """Say from how far away the fastest reply can have come at most, and which sites are possible.

    Where this host is known, `sites` are those that light could have come back from (`around` is here). Else they are
    those that may be nearer than the one reached (`around` that site): this host is within `reach_km` of it.
    """
    times = [time for time in (row["rtt_ms_min"], row["ping_ms_min"]) if time is not None]
    if not times:
        return None
    rtt_ms = times[0]  # of an answer, where there is one: who answers pings may be somebody else
    reach_km = rtt_ms * IMPOSSIBLE_KM_PER_MS + IMPOSSIBLE_SLACK_KM
    window = Window(start=row["window_start"], end=row["window_end"])
    sites = [] if service.open_list else active_sites(service, window, row["af"])
    reached = next((site for site in service.sites if site.code == row["site"]), None)
    around, possible = "here", list[str]()
    if place is not None:
        possible = _within(sites, place.latitude, place.longitude, reach_km)
    elif reached is not None and reached.latitude is not None and reached.longitude is not None:
        around = reached.code
        possible = _within(sites, reached.latitude, reached.longitude, 2 * reach_km)
    is_told = place is not None and row["distance_km"] is not None
    return {
        "rtt_ms": rtt_ms,
        "reach_km": rounded(reach_km),
        "allows": row["verdict"] not in ACCUSED if is_told else None,
        "around": around if place is not None or around != "here" else None,
        "sites": possible,
        "of": sum(site.latitude is not None for site in sites),
    }


def _within(sites: Sequence[Site], latitude: float, longitude: float, limit_km: float) -> list[str]:
    """Return the codes of the sites within so many km, the nearest first."""
    import numpy as np  # noqa: PLC0415  (DuckDB's tables have brought it by now)

    placed = [site for site in sites if site.latitude is not None]
    here = np.full(len(placed), latitude), np.full(len(placed), longitude)
    found = sorted(zip(distance_km(*here, *places_of(placed)).tolist(), (site.code for site in placed), strict=True))
    return [code for away_km, code in found if away_km <= limit_km]


def _flows(run: store.Run, observations: Sequence[Numbers]) -> Numbers:
    """Return how the answers to the query that was asked most often, each from a port of its own, differ."""
    query, sent = _repeated(run, observations)
    ports = {one["flow"] for one in sent if one["flow"] is not None}
    by_site, by_server = (_answers(sent, key) for key in _TOLD)
    return {
        "query": query,
        "queries": len(sent),
        "ports": len(ports),
        "answers": sum(one["failure"] is None for one in sent),
        "sites": dict(Counter(site for _, site in by_site).most_common()),
        "servers": dict(Counter(server for _, server in by_server).most_common()),
        "sites_differ": spread_of(by_site),
        "servers_differ": spread_of(by_server),
    }


def _repeated(run: store.Run, observations: Sequence[Numbers]) -> tuple[str | None, list[Numbers]]:
    """Return the DNS query that was asked most often, and what was observed of it; an answer need not tell it."""
    queries = {one.id: one.query for one in (run.accepted.measurements if run.accepted else ()) if one.kind is Kind.DNS}
    counts = Counter(one["measurement_id"] for one in observations if one["measurement_id"] in queries)
    if not counts:
        return None, []
    number = counts.most_common(1)[0][0]
    return queries[number], [one for one in observations if one["measurement_id"] == number]


def _answers(sent: Sequence[Numbers], key: str) -> list[Answer]:
    """Return what answers say of something, with their flows."""
    return [(one["flow"], one[key]) for one in sent if one["identity"] is not None and one[key] is not None]


def _identities(observations: Sequence[Numbers]) -> list[Numbers]:
    """Return the different identities, the most frequent first, and where each stood."""
    found = Counter(
        (one[text], one[source])
        for one in observations
        for text, source in (("identity", "identity_source"), ("second_identity", "second_identity_source"))
        if one[text] is not None
    )
    return [{"text": text, "source": source, "answers": count} for (text, source), count in found.most_common()]
