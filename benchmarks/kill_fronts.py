"""What stands in front of the API: a clock that stands still, a wire that ends processes, and POSTs that get lost."""

from __future__ import annotations

import random
import re
import signal
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from types import SimpleNamespace
from typing import cast

from benchmarks.kill_children import TAKEN_S, Child
from benchmarks.kill_points import Way
from catchment.platforms.sandbox import find_faults
from catchment.platforms.sandbox.api.endings import Broken, Ending
from catchment.platforms.sandbox.api.endpoints import Api
from catchment.platforms.sandbox.api.exchange import Request, Response
from catchment.platforms.sandbox.api.faults import Front, FrontFault
from catchment.platforms.sandbox.clock import Clock

_POST_FAULTS = ("lost-answer", "lost-answer-closed", "lost-answer-half", "lost-answer-504", "post-reset")


class Stopwatch:
    """Tells seconds, and stands still while it is stopped: no time passes where nobody runs."""

    def __init__(self) -> None:
        self._passed_s = 0.0
        self._since: float | None = None
        self._lock = threading.Lock()

    def __call__(self) -> float:
        with self._lock:
            return self._passed_s + (0.0 if self._since is None else time.monotonic() - self._since)

    def go(self) -> None:
        with self._lock:
            self._since = time.monotonic() if self._since is None else self._since

    def stop(self) -> None:
        with self._lock:
            self._passed_s += 0.0 if self._since is None else time.monotonic() - self._since
            self._since = None


class Losing:
    """Faults of POSTs, each of which strikes a share of them that the seed chooses; `lost` counts them."""

    def __init__(self, api: Api, draw: random.Random, share: float) -> None:
        self.lost = 0
        self._seed = draw.getrandbits(32)
        self._share = share / len(_POST_FAULTS)
        named = {fault.name: fault for fault in find_faults(_POST_FAULTS) if isinstance(fault, FrontFault)}
        faults = [replace(fault, strikes=partial(self._strikes, name)) for name, fault in named.items()]
        behind = SimpleNamespace(respond=api.respond, ledger=api.ledger)
        self.respond = Front(cast(Api, behind), faults, seed=self._seed, now=lambda: 0.0).respond

    def _strikes(self, name: str, number: int, seed: int) -> bool:
        struck = random.Random(f"{seed} {name} {number}").random() < self._share
        self.lost += struck
        return struck


class Tripwire:
    """Stands in front of an API and ends the child at its point; `looked` is when each measurement was last read,
    and it `has_sought` where somebody looked at measurements before all of them stood.

    While nobody runs and while a request is handled, the sandbox's time stands still. So it does before a POST unless
    `all_stand`, or somebody looks at measurements first: 60 s, in which to ask for all, are nothing for slow hosts.
    """

    def __init__(
        self,
        respond: Callable[[Request], Response],
        watch: Stopwatch,
        clock: Clock,
        *,
        all_stand: Callable[[], bool] = lambda: True,
    ) -> None:
        self._respond = respond
        self._watch = watch
        self._clock = clock
        self._child: Child | None = None
        self._all_stand = all_stand
        self._is_look = self.has_sought = False
        self.requests = self.posts = 0
        self.is_at_post = False
        self.looked: dict[int, float] = {}
        self.before_handling: Callable[[Request], None] = lambda _: None

    def arm(self, child: Child) -> None:
        self._child = child
        self.requests = self.posts = 0
        self.is_at_post = False

    def respond(self, request: Request) -> Response:
        self._watch.stop()
        self.requests += 1
        self.posts += request.method == "POST"
        self._is_look = request.method == "GET" and "/measurements/" in request.path
        self.has_sought |= self._is_look and not self._all_stand()
        self.before_handling(request)
        way = self._due(is_post=request.method == "POST")
        self.is_at_post = way is not None and request.method == "POST"
        if way is Way.BEFORE and not self._end():
            return Response(status=503)
        results = re.search(r"/measurements/(\d+)/results", request.path)
        if results is not None:
            self.looked[int(results[1])] = self._clock.now()
        response = self._respond(request)
        if way is Way.AFTER and not self._end():
            return Response(status=503)
        if way is Way.AMID:
            return self._cut(response)
        self._go()
        return response

    def _due(self, *, is_post: bool) -> Way | None:
        point = None if self._child is None else self._child.point
        if point is None or point.way not in {Way.BEFORE, Way.AFTER, Way.AMID} or (point.posts and not is_post):
            return None
        return point.way if point.at == (self.posts if point.posts else self.requests) else None

    def _end(self) -> bool:
        """End the child; tell whether it may still be there."""
        assert self._child is not None
        assert self._child.point is not None
        self._child.end()
        if self._child.point.number == signal.SIGKILL:
            return False
        self._go()
        return True

    def _go(self) -> None:
        if self._is_look or self._all_stand():
            self._watch.go()

    def _cut(self, response: Response) -> Response:
        """Return the first bytes of an answer; when the child has taken them, it is ended."""
        assert self._child is not None
        assert self._child.point is not None
        threading.Timer(TAKEN_S, self._end).start()
        if isinstance(response, Broken):  # it is lost anyway
            return response
        content = response.content()
        sent = int(len(content) * self._child.point.share)
        headers = response.headers
        return Broken(status=response.status, headers=headers, body=content, sent=sent, ending=Ending.STALL)
