"""Waiting for one measurement: what was found of it so far, and whether that is enough."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import ClassVar

from catchment.errors import PlatformFailed
from catchment.platforms.atlas.fetching import Fetcher, Found
from catchment.platforms.atlas.slices import Slice, file_name
from catchment.platforms.atlas.watching import Steps, Watch
from catchment.store import Measurement

ENOUGH = 0.95
"""With this share of the probes, one more look that brings nothing new ends the waiting; with this share of all results
a measurement is complete."""


class Missing(PlatformFailed):
    """The results of a measurement are not found, long after they should be."""


def expected_results(measurement: Measurement) -> int | None:
    """Return how many results one's own measurement has if all answer in each round; None where nobody knows."""
    probes, stop, interval_s = measurement.probes, measurement.stop, measurement.interval_s
    if measurement.reused or probes is None:
        return None
    if interval_s is None:
        return len(probes)
    return None if stop is None else len(probes) * int((stop - measurement.start) // interval_s)


class Waiting(ABC):
    """One measurement that is waited for: what was found of it so far, in which files, and how it is.

    It is fetched in these slices into a folder; `told` hears, while results come, what is fetched and how many there
    are.
    """

    asks_who_takes_part: ClassVar[bool]

    def __init__(
        self,
        measurement: Measurement,
        slices: Sequence[Slice],
        folder: Path,
        fetcher: Fetcher,
        told: Callable[[str, int], None],
    ) -> None:
        self.measurement = measurement
        self.slices = slices
        self.folder = folder
        self.fetcher = fetcher
        self.told = told
        self.found = Found()
        self.files: list[Path] = []
        self.begun = fetcher.clock()
        self.watch = Watch(measurement, fetcher, end=self.planned_end, probes=self.asks_who_takes_part)

    @property
    @abstractmethod
    def planned_end(self) -> float:
        """Return when the waiting is over at the latest, if nobody stops the measurement."""

    @property
    @abstractmethod
    def share(self) -> float:
        """Return how much of the waiting and fetching is done, 0 to 1."""

    @property
    def ends(self) -> float:
        """Return when the waiting is over at the latest."""
        return self.watch.at_latest(self.planned_end)

    @property
    def is_complete(self) -> bool:
        """Tell whether enough probes have answered in enough rounds, and none was lost as it ended early."""
        measurement, expected = self.measurement, expected_results(self.measurement)
        if measurement.reused or measurement.probes is None:
            return True
        if len(self.found.participants) < ENOUGH * len(measurement.probes):
            return False
        if expected is not None and self.found.results < ENOUGH * expected:
            return False
        stop, interval_s, ended = measurement.stop, measurement.interval_s, self.watch.ended
        return interval_s is None or ended is None or stop is None or ended > stop - interval_s

    @abstractmethod
    def steps(self) -> Steps:
        """Wait, and fetch everything, bit by bit: yield when to go on (seconds since 1970 UTC), others have their turn.

        Raises PlatformFailed; then this has left whole files only.
        """

    def missing(self) -> Missing:
        """Return the failure that no results are found."""
        number, server = self.measurement.id, self.fetcher.atlas.endpoint.server
        return Missing(
            f"{server}: the results of measurement {number} are not found (404), long after they should be: look at "
            f"https://{server}/measurements/{number}/, and try again later"
        )

    def file(self, piece: Slice) -> Path:
        """Return where the results of a slice belong."""
        return self.folder / file_name(self.measurement, piece, alone=len(self.slices) == 1)
