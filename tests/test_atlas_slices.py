from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from catchment.model import Kind, Window
from catchment.platforms.atlas.slices import Slice, cut, file_name
from catchment.store import Measurement

NOON = 1_700_006_400  # 2023-11-15T00:00:00Z
HOUR = 3600
PERIODIC = Measurement(
    id=1_000_001,
    kind=Kind.DNS,
    target="198.51.100.53",
    af=4,
    query="hostname.bind",
    nsid=True,
    probes=tuple(range(1, 101)),
    start=NOON,
    stop=NOON + 3 * HOUR,
    interval_s=300,
    reused=False,
)
K_ROOT = replace(PERIODIC, id=10301, probes=None, start=NOON, stop=NOON + 24 * HOUR, interval_s=240, reused=True)


def test_a_day_of_a_root_letter_is_cut_into_quarters_of_an_hour() -> None:
    # 15,000 probes every 240 s with 1.1 kB each are 69 kB a second, and 64 MB in 15.5 minutes.
    pieces = cut(K_ROOT, Window())
    assert len(pieces) == 96
    assert {piece.end - piece.begin for piece in pieces if piece.end is not None} == {900}
    assert (pieces[0].first, pieces[0].last, pieces[1].first) == (NOON, NOON + 899, NOON + 900)
    assert pieces[-1].last == NOON + 24 * HOUR - 1
    assert file_name(K_ROOT, pieces[1], alone=False) == "10301-20231115T001500Z-20231115T003000Z.ndjson.gz"


def test_traceroutes_are_cut_shorter_and_few_probes_longer() -> None:
    # 15,000 probes every 1800 s with 4 kB each are 33 kB a second: 64 MB in 32 minutes.
    traced = cut(replace(K_ROOT, kind=Kind.TRACEROUTE, interval_s=1800), Window())
    assert traced[0].end == NOON + 32 * 60
    chosen = cut(replace(K_ROOT, probes=tuple(range(500))), Window())
    assert {piece.end - piece.begin for piece in chosen if piece.end is not None} == {HOUR}


def test_a_quarter_of_an_hour_of_a_root_letter_is_one_file() -> None:
    (piece,) = cut(K_ROOT, Window(start=NOON + 60.5, end=NOON + 960.5))
    assert piece == Slice(begin=NOON + 61, end=NOON + 961, first=NOON + 61, last=NOON + 960)
    assert file_name(K_ROOT, piece, alone=True) == "10301.ndjson.gz"


def test_ones_own_measurement_is_cut_between_rounds_and_is_open_at_its_ends() -> None:
    pieces = cut(replace(PERIODIC, interval_s=1000), Window())
    assert pieces == [
        Slice(begin=NOON, end=NOON + 3000, first=None, last=NOON + 2999),
        Slice(begin=NOON + 3000, end=NOON + 6000, first=NOON + 3000, last=NOON + 5999),
        Slice(begin=NOON + 6000, end=NOON + 9000, first=NOON + 6000, last=NOON + 8999),
        Slice(begin=NOON + 9000, end=NOON + 10_800, first=NOON + 9000, last=None),
    ]


def test_a_month_with_few_results_is_not_cut_into_thousands_of_files() -> None:
    month = replace(PERIODIC, probes=(1, 2, 3), stop=NOON + 30 * 24 * HOUR)
    assert len(cut(month, Window())) <= 101


@pytest.mark.parametrize(
    "measurement",
    [
        replace(PERIODIC, interval_s=None, stop=None),
        replace(PERIODIC, stop=None),
        replace(K_ROOT, stop=None),
        replace(K_ROOT, stop=NOON - 5),
    ],
)
def test_what_has_no_rounds_or_no_end_is_one_slice(measurement: Measurement) -> None:
    assert len(cut(measurement, Window())) == 1


TIMES = st.one_of(st.integers(NOON - 5000, NOON + 200_000), st.floats(NOON - 5000, NOON + 200_000))


@given(
    start=TIMES,
    span_s=st.floats(0.5, 300_000),
    interval_s=st.integers(1, 100_000),
    probes=st.one_of(st.none(), st.integers(1, 20_000)),
    kind=st.sampled_from(Kind),
    reused=st.booleans(),
    number=st.sampled_from([10301, 1_000_001]),
    window=st.one_of(st.just((None, None)), st.tuples(TIMES, TIMES).map(sorted).map(tuple)),
)
def test_slices_are_disjoint_and_complete(
    start: float,
    span_s: float,
    interval_s: int,
    probes: int | None,
    kind: Kind,
    reused: bool,
    number: int,
    window: tuple[float | None, float | None],
) -> None:
    measurement = replace(
        PERIODIC,
        id=number,
        kind=kind,
        start=start,
        stop=start + span_s,
        interval_s=interval_s,
        probes=None if probes is None else tuple(range(probes)),
        reused=reused,
    )
    asked = Window(start=window[0], end=window[1])
    pieces = cut(measurement, asked)
    assert pieces == cut(measurement, asked)
    # The API counts first and last second in: what one slice ends with, the next one begins after.
    for one, other in pairwise(pieces):
        assert (one.end, one.last) == (other.begin, other.begin - 1)
        assert other.first == other.begin
    whole = cut(replace(measurement, interval_s=None), asked)[0]
    assert (pieces[0].first, pieces[-1].last) == (whole.first, whole.last)
    names = [file_name(measurement, piece, alone=len(pieces) == 1) for piece in pieces]
    assert len(set(names)) == len(names)
    assert names == sorted(names)
    assert all(one.begin < other.begin for one, other in pairwise(pieces))
    if not reused:
        assert all((one.end or 0) - one.begin >= interval_s for one, _ in pairwise(pieces))
    # A whole second of the window is asked for by exactly one of them.
    for at in {pieces[0].begin, pieces[-1].begin, pieces[len(pieces) // 2].begin - 1} if whole.first is None else ():
        asking = [
            piece
            for piece in pieces
            if (piece.first is None or piece.first <= at) and (piece.last is None or at <= piece.last)
        ]
        assert len(asking) == 1
