"""What a client of the stream wants to hear of, and the frames that tell it: pairs of an event's name and a payload."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import chain
from typing import Any

from catchment.model import Kind
from catchment.platforms.sandbox.api.ledger import Ledger
from catchment.platforms.sandbox.api.measurements import Measurement
from catchment.platforms.sandbox.api.parameters import flag, listed, one_of, whole

_BACKLOG_S = 3600
_OTHER_KINDS = ("sslcert", "ntp", "http")
_MOST_SUBSCRIPTIONS = 100

Frame = tuple[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """The results that a subscription is for: of these measurements, probes and kinds (None: of all)."""

    measurements: tuple[int, ...] | None
    probes: frozenset[int] | None
    kinds: frozenset[Kind] | None
    backlog: bool

    def fits(self, measurement: Measurement) -> bool:
        """Tell whether results of a measurement are wanted. There is no stream of what is not public."""
        return measurement.definition.is_public and (self.kinds is None or measurement.definition.kind in self.kinds)


class Subscriptions:
    """What one client has subscribed to, and until when it was told."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self._told: dict[Wanted, float] = {}

    def hear(self, message: Any, now: float) -> Iterator[Frame]:
        """Yield what a client is told in reply to a message of its own."""
        if not (isinstance(message, list) and len(message) == 2 and isinstance(message[1], dict)):
            yield _error("Send an array of an event's name and an object.")
            return
        event, parameters = message
        if event not in ("atlas_subscribe", "atlas_unsubscribe"):
            yield _error(f'"{event}" is not an event that a client can send.')
            return
        try:
            wanted = read_wanted(parameters)
        except ValueError as error:
            yield _error(str(error))
            return
        if event == "atlas_unsubscribe":
            self._told.pop(wanted, None)
            yield ("atlas_unsubscribed", parameters)
        elif missing := self._missing(wanted):
            yield _error(f"There is no public measurement {missing[0]}.")
        elif len(self._told) >= _MOST_SUBSCRIPTIONS:
            yield _error(f"A client can have {_MOST_SUBSCRIPTIONS} subscriptions at most.")
        else:
            yield ("atlas_subscribed", parameters)
            if wanted.backlog:
                yield from self._results(wanted, now - _BACKLOG_S, now)
                yield ("atlas_backlog_sent", parameters)
            self._told[wanted] = now

    def news(self, now: float) -> Iterator[Frame]:
        """Yield the results that have arrived since the last time."""
        for wanted, told in list(self._told.items()):
            self._told[wanted] = now
            yield from self._results(wanted, told, now)

    def _missing(self, wanted: Wanted) -> list[int]:
        found = {number: self._ledger.get(number) for number in wanted.measurements or ()}
        return [
            number
            for number, measurement in found.items()
            if measurement is None or not measurement.definition.is_public
        ]

    def _results(self, wanted: Wanted, since: float, now: float) -> Iterator[Frame]:
        measurements = (
            self._ledger.listed()
            if wanted.measurements is None
            else [found for number in wanted.measurements if (found := self._ledger.get(number)) is not None]
        )
        arriving = (
            self._ledger.arriving(measurement, since, now, wanted.probes)
            for measurement in measurements
            if wanted.fits(measurement)
        )
        return (("atlas_result", result) for result in chain.from_iterable(arriving))


def read_wanted(parameters: Mapping[str, Any]) -> Wanted:
    """Read the parameters of a subscription, JSON values or the texts of a query. Raises ValueError."""
    stream = parameters.get("streamType", parameters.get("stream_type"))
    if stream is None:
        raise ValueError("Say which stream: streamType.")
    one_of("result", beyond=("probestatus", "metadata"))(str(stream))
    kinds = parameters.get("type")
    return Wanted(
        measurements=_numbers(parameters.get("msm")),
        probes=None if (probes := _numbers(parameters.get("prb"))) is None else frozenset(probes),
        kinds=None if kinds is None else frozenset({Kind(one_of(*Kind, beyond=_OTHER_KINDS)(str(kinds)))}),
        backlog=flag(str(parameters.get("sendBacklog", False))),
    )


def _numbers(given: Any) -> tuple[int, ...] | None:
    """Read a number or several, as a list or a text with commas between; None stays None."""
    if given is None:
        return None
    text = ",".join(map(str, given)) if isinstance(given, list) else str(given)
    return tuple(listed(whole(0))(text)) or None


def _error(detail: str) -> Frame:
    return ("atlas_error", {"detail": detail})
