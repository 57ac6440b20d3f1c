"""One vantage point at one target, with all that is known of it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

from catchment.metrics import Numbers
from catchment.model import Outcome, Service
from catchment.workflow.explaining.wording import plain

_OUTCOMES = ("identified", "foreign_identity", "unknown_identity", "errors", "empty")


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """Rows of the tiers, each by the names of its columns.

    `observations` have besides their `site`, `rule`, `outcome` and `witnesses` as judged; `kilometres` are the
    distances to the active sites whose place is known; `elsewhere` are the vantage point's other assignments.
    """

    place: Numbers
    assignment: Numbers
    service: Service | None = None
    observations: Sequence[Numbers] = ()
    evidence: Sequence[Numbers] = ()
    flips: Sequence[Numbers] = ()
    kilometres: dict[str, float] = field(default_factory=dict)
    elsewhere: Sequence[Numbers] = ()

    @property
    def answers(self) -> int:
        """Return how many DNS answers came, whatever they say."""
        return sum(self.assignment[outcome] for outcome in _OUTCOMES)

    @property
    def echoes(self) -> int:
        """Return how many pings and traceroutes were sent."""
        return int(self.assignment["pings_answered"] + self.assignment["pings_lost"])

    @property
    def rtt_ms(self) -> float | None:
        """Return the RTT by which distances are judged: of the fastest answer, or else of the fastest ping."""
        row = self.assignment
        if row["rule"] == "light-ping" or row["rtt_ms_min"] is None:
            return row["ping_ms_min"]  # type: ignore[no-any-return]
        return row["rtt_ms_min"]  # type: ignore[no-any-return]

    @property
    def name(self) -> str:
        """Return what to call the service."""
        return "the service" if self.service is None else plain(self.service.name)

    def site(self, code: str | None = None) -> str:
        """Name a site, by default the one assigned, with its town."""
        code = self.assignment["site"] if code is None else code
        sites = () if self.service is None else self.service.sites
        known = next((site for site in sites if site.code == code), None)
        return plain(code) if known is None else f"{plain(code)} ({plain(known.town)}, {plain(known.country)})"

    def with_outcome(self, outcome: Outcome) -> list[Numbers]:
        """Return the answers that say this."""
        return [one for one in self.observations if one["outcome"] == outcome]


def asked_for(observations: Sequence[Numbers]) -> str:
    """Say what was asked, where that is known."""
    queries = Counter(one["query"] for one in observations if one["query"] is not None)
    return f" when asked for {' or '.join(plain(query) for query, _ in queries.most_common(2))}" if queries else ""
