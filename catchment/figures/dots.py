"""What a map shows of each vantage point."""

from __future__ import annotations

from dataclasses import dataclass

from catchment.model import Verdict


@dataclass(frozen=True, slots=True, kw_only=True)
class Dot:
    """A vantage point on a map: its place in degrees, its site's code if it has one, and the verdict."""

    latitude: float
    longitude: float
    site: str | None
    verdict: Verdict


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """A vantage point in two runs: its place in degrees, the codes of its sites before and after if any, the verdicts.

    One whose place nobody knows is counted and not drawn.
    """

    latitude: float | None
    longitude: float | None
    before: str | None
    after: str | None
    verdict_before: Verdict
    verdict_after: Verdict

    @property
    def place(self) -> tuple[float, float] | None:
        """Return latitude and longitude, if they are known."""
        return None if self.latitude is None or self.longitude is None else (self.latitude, self.longitude)
