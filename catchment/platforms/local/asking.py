"""What one vantage point is to ask of one target, once, and the result of that."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from catchment.campaign import Protocol, Query
from catchment.model import AddressFamily
from catchment.platforms.local.loop import Result
from catchment.platforms.local.results import head
from catchment.platforms.local.sockets import Moment, StampedSocket
from catchment.platforms.local.vantages import Vantage
from catchment.store import Measurement

DNS_PORT = 53
_NS_PER_S = 1e9
_MS_PER_S = 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class Asking:
    """A query, whose replies are waited for `timeout_s`; `port` is that of DNS servers, `clock` the wall's, in s.

    DNS over UDP leaves from `source_port`, or from one that nobody has (None).
    """

    vantage: Vantage
    measurement: Measurement
    query: Query
    timeout_s: float
    clock: Callable[[], float] = time.time
    port: int = DNS_PORT
    source_port: int | None = None

    @property
    def target(self) -> str:
        """Return the address that is asked."""
        return self.measurement.target

    @property
    def af(self) -> AddressFamily:
        """Return its family."""
        return self.measurement.af

    def result(
        self, protocol: Protocol, found: dict[str, Any], sent: Moment | None = None, source: str | None = None
    ) -> Result:
        """Return the whole result of what was found: `sent` is when the first packet left, `source` from where."""
        ago_s = 0.0 if sent is None else (time.time_ns() - sent.wall_ns) / _NS_PER_S
        at = self.clock() - ago_s
        return head(self.vantage, self.measurement, at=at, source=source, protocol=protocol.value) | found

    def is_late(self, rtt_ms: float) -> bool:
        """Tell whether a reply that took so long came too late, whenever it was read."""
        return rtt_ms > self.timeout_s * _MS_PER_S

    def open(self, kind: int, protocol: int = 0) -> StampedSocket:
        """Open a socket where the vantage point is. Raises OSError."""
        return StampedSocket(self.vantage.open_socket, self.af, kind, protocol)
