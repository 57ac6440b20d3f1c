"""In front of the API: each request passes by all faults, and goes on to the API if they let it."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable, Sequence
from functools import partial

from catchment.platforms.sandbox.api.endpoints import Api
from catchment.platforms.sandbox.api.exchange import Refusal, Request, Response
from catchment.platforms.sandbox.api.faults.fault import Fault, FrontFault, Struck, chance


class Front:
    """An API behind faults, the first of which is the outermost; only what one lets pass is counted by the next."""

    def __init__(self, api: Api, faults: Sequence[Fault], *, seed: int, now: Callable[[], float]) -> None:
        self._api = api
        self._faults = [fault for fault in faults if isinstance(fault, FrontFault)]
        self._seed = seed
        self._now = now
        self._numbers: Counter[tuple[str, str]] = Counter()
        self._lock = threading.Lock()

    def respond(self, request: Request) -> Response:
        """Answer a request as the API does, or as a fault does in its place."""
        return self._pass(0, request)

    def _pass(self, place: int, request: Request) -> Response:
        if place == len(self._faults):
            return self._api.respond(request)
        fault, ask = self._faults[place], partial(self._pass, place + 1)
        name = fault.concerns(request)
        if name is None:
            return ask(request)
        with self._lock:
            self._numbers[fault.name, name] += 1
            number = self._numbers[fault.name, name]
        if not fault.strikes(number, self._seed):
            return ask(request)
        draw = chance(self._seed, fault.name, name, number)
        struck = Struck(request=request, number=number, draw=draw, now=self._now(), ledger=self._api.ledger, ask=ask)
        try:
            return fault.answer(struck)
        except Refusal as refusal:
            return refusal.response()
