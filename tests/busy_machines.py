"""For tests that tell real time: a machine that is busy spoils a measurement now and then, a fault spoils each."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import ParamSpec

P = ParamSpec("P")


def once_of(times: int) -> Callable[[Callable[P, None]], Callable[P, None]]:
    """Have a test hold once of so many times: it is repeated while its assertions fail."""

    def repeating(test: Callable[P, None]) -> Callable[P, None]:
        @functools.wraps(test)
        def repeated(*args: P.args, **kwargs: P.kwargs) -> None:
            for _ in range(times - 1):
                try:
                    test(*args, **kwargs)
                except AssertionError:
                    continue
                return
            test(*args, **kwargs)

        return repeated

    return repeating
