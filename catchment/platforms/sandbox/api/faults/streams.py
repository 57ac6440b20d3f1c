"""Faults of a request for results: not found, none yet, some, out of order, twice, spoilt, broken off."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from http import HTTPStatus
from itertools import islice

from catchment.platforms.sandbox.api.endings import Broken, Ending
from catchment.platforms.sandbox.api.exchange import Refusal, Response
from catchment.platforms.sandbox.api.faults.breaking import Answer
from catchment.platforms.sandbox.api.faults.concerns import Strikes, always, first, measurement_of, results
from catchment.platforms.sandbox.api.faults.fault import FrontFault, Struck

_YOUNG_S = 240
_LOOKS = 5  # so many until all results are shown
_BLOCK = 500
_FEW_BYTES = 4000
_TWICE = 0.1
_SPOILT = (b"", b"null\n", b"[]\n", b'{"error": \n', b"\xff\xfe\x00 no result\n", b"{}{}\n")

Lines = Iterable[bytes]


def _changed(change: Callable[[Lines, Struck], Lines]) -> Answer:
    """Return a fault's answer that changes the results, each a line with its end; an array's are its items."""

    def answer(struck: Struck) -> Response:
        plain = struck.answer()
        if plain.status != HTTPStatus.OK:
            return plain
        if struck.request.parameters.get("format") == "txt":
            return replace(plain, body=iter(change(_lines(plain), struck)))
        items = (json.dumps(item).encode() + b"\n" for item in json.loads(plain.content()))
        return replace(plain, body=b"[" + b",".join(line.rstrip(b"\n") for line in change(items, struck)) + b"]")

    return answer


def _lines(response: Response) -> Iterator[bytes]:
    rest = b""
    for chunk in (response.body,) if isinstance(response.body, bytes) else response.body:
        *lines, rest = (rest + chunk).split(b"\n")
        yield from (line + b"\n" for line in lines)
    if rest:  # half a line, of another fault
        yield rest


def _while_young(answer: Answer) -> Answer:
    """Return a fault's answer for the account's measurements that have just begun; others are answered as ever."""

    def answer_young(struck: Struck) -> Response:
        measurement = struck.ledger.get(measurement_of(struck.request) or 0)
        if measurement is None or measurement.is_built_in or struck.now > measurement.schedule.start + _YOUNG_S:
            return struck.answer()
        return answer(struck)

    return answer_young


def _missing(_: Struck) -> Response:
    raise Refusal(HTTPStatus.NOT_FOUND, "Not found.")


def _growing(lines: Lines, struck: Struck) -> Lines:
    """Show the results of some probes, at each look of more of them."""
    return (line for line in lines if json.loads(line)["prb_id"] % _LOOKS < struck.number)


def _shuffled(lines: Lines, struck: Struck) -> Lines:
    entries = iter(lines)
    while block := list(islice(entries, _BLOCK)):
        struck.draw.shuffle(block)
        yield from block


def _doubled(lines: Lines, struck: Struck) -> Lines:
    for line in lines:
        yield line
        if struck.draw.random() < _TWICE:
            yield line


def _spoilt(lines: Lines, struck: Struck) -> Lines:
    for line in lines:
        if struck.draw.random() < _TWICE:
            yield struck.draw.choice(_SPOILT)
        yield line


def _half_a_line(lines: Lines, struck: Struck) -> Lines:
    last = struck.draw.randrange(20)
    for number, line in enumerate(lines):
        if number >= last and len(line) > 1:
            yield line[: len(line) // 2]
            return
        yield line


def _broken(ending: Ending) -> Answer:
    def answer(struck: Struck) -> Response:
        plain = struck.answer()
        if plain.status != HTTPStatus.OK:
            return plain
        sent = struck.draw.randrange(_FEW_BYTES)
        return Broken(status=plain.status, headers=plain.headers, body=plain.body, ending=ending, sent=sent)

    return answer


def _none_yet(_: Lines, __: Struck) -> Lines:
    return ()


def _fault(name: str, about: str, answer: Answer, strikes: Strikes) -> FrontFault:
    return FrontFault(name=name, about=about, concerns=results, strikes=strikes, answer=answer)


_OF_EACH = "of each measurement"
_YOUNG = f"for the first {_YOUNG_S // 60} minutes"

STREAM_FAULTS = (
    _fault(
        "results-404", f"the first 6 looks at results {_OF_EACH} are answered 404", _while_young(_missing), first(6)
    ),
    _fault(
        "results-late",
        f"the first 3 looks at results {_OF_EACH} find none",
        _while_young(_changed(_none_yet)),
        first(3),
    ),
    _fault(
        "results-growing",
        f"the first {_LOOKS - 1} looks at results {_OF_EACH} show those of some probes, each time of more",
        _while_young(_changed(_growing)),
        first(_LOOKS - 1),
    ),
    _fault("results-out-of-order", "results come in no order", _changed(_shuffled), always),
    _fault("results-twice", "one of ten results comes twice in an answer", _changed(_doubled), always),
    _fault(
        "results-spoilt",
        f"in the first 2 answers with results {_OF_EACH} some lines are none",
        _changed(_spoilt),
        first(2),
    ),
    _fault("stream-cut", f"the first 2 answers with results {_OF_EACH} break off", _broken(Ending.CLOSE), first(2)),
    _fault(
        "stream-reset",
        f"the first 2 answers with results {_OF_EACH} end in a reset connection",
        _broken(Ending.RESET),
        first(2),
    ),
    _fault(
        "stream-stall", f"the first answer with results {_OF_EACH} stops amid them", _broken(Ending.STALL), first(1)
    ),
    _fault(
        "stream-half-line",
        f"the first 2 answers with results {_OF_EACH} end well, but amid a line",
        _changed(_half_a_line),
        first(2),
    ),
)
