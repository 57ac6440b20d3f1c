"""One vantage point at one target, with all that is known of it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

from catchment.geo import light_allows
from catchment.metrics import Numbers
from catchment.model import Outcome, Service, Verdict
from catchment.observe.traceroutes import Trace
from catchment.workflow.explaining.wording import plain

_OUTCOMES = ("identified", "foreign_identity", "unknown_identity", "errors", "empty")
ACCUSED = (Verdict.IMPOSSIBLE_RTT, Verdict.MISLOCATED)
"""Verdicts by light on answers that name a site."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """Rows of the tiers, each by the names of its columns.

    `observations` have besides their `site`, `rule`, `outcome`, `witnesses` and `promised` as judged, and of their two
    identities the `judged_identity`; `kilometres` are the distances to the sites in use whose place is known;
    `elsewhere` are the vantage point's other assignments; `peers` counts what the other vantage points got here;
    `same_place` says how many of them give exactly the same place; `traces` are traceroutes of a target that is silent.
    """

    place: Numbers
    assignment: Numbers
    service: Service | None = None
    observations: Sequence[Numbers] = ()
    evidence: Sequence[Numbers] = ()
    flips: Sequence[Numbers] = ()
    kilometres: dict[str, float] = field(default_factory=dict)
    elsewhere: Sequence[Numbers] = ()
    peers: Counter[str] = field(default_factory=Counter)
    same_place: int = 0
    traces: Sequence[Trace] = ()

    @property
    def answers(self) -> int:
        """Return how many answers came to queries for an identity, whatever they say."""
        return sum(self.assignment[outcome] for outcome in _OUTCOMES)

    @property
    def echoes(self) -> int:
        """Return how many pings and traceroutes were sent."""
        return int(self.assignment["pings_answered"] + self.assignment["pings_lost"])

    @property
    def name(self) -> str:
        """Return what to call the service."""
        return "the service" if self.service is None else plain(self.service.name)

    @property
    def assigned_site(self) -> str:
        """Name the site assigned, with its town."""
        return self.site(self.assignment["site"])

    def site(self, code: str) -> str:
        """Name a site, with its town."""
        sites = () if self.service is None else self.service.sites
        known = next((site for site in sites if site.code == code), None)
        return plain(code) if known is None else f"{plain(code)} ({plain(known.town)}, {plain(known.country)})"

    def with_outcome(self, outcome: Outcome) -> list[Numbers]:
        """Return the answers that say this."""
        return [one for one in self.observations if one["outcome"] == outcome]

    def of_others(self) -> list[Numbers]:
        """Return the answers that somebody else gave: with no identity of the service where it always gives one."""
        return [
            one
            for one in self.observations
            if one["outcome"] == Outcome.FOREIGN
            or (one["outcome"] in {Outcome.ERROR, Outcome.EMPTY} and one["promised"])
        ]


def judged_packet(row: Numbers) -> tuple[float | None, str]:
    """Return the RTT in milliseconds by which an assignment was judged, and of what: an answer, a ping, a traceroute.

    A ping decides where no answer tells a time, where other witnesses named the site, and where light contradicts it
    and not the answers.
    """
    answer_ms, ping_ms = row["rtt_ms_min"], row["ping_ms_min"]
    is_inferred = row["site"] is not None and row["site_rule"] is None
    if answer_ms is None or is_inferred:
        return (ping_ms if answer_ms is None else answer_ms), "traceroute" if ping_ms is None else "ping"
    if row["verdict"] in ACCUSED and ping_ms is not None and light_allows(row["distance_km"], answer_ms):
        return ping_ms, "ping"
    return answer_ms, "answer"


def asked_for(observations: Sequence[Numbers]) -> str:
    """Say what was asked, where that is known."""
    queries = Counter(one["query"] for one in observations if one["query"] is not None)
    return f" when asked for {' or '.join(plain(query) for query, _ in queries.most_common(2))}" if queries else ""
