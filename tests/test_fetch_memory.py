from __future__ import annotations

from benchmarks.fetch_memory import MOST_MB, measure


def test_fetching_takes_little_memory_however_long_the_stream_is() -> None:
    short, long = measure(5), measure(50)
    assert long.results > 9 * short.results > 50_000
    assert long.peak_mb < MOST_MB
    # Ten times as many results, and hardly more memory: what is added holds no results, but which probes sent them.
    assert long.peak_mb < short.peak_mb + 20
