"""Raw records of a stored run, read again where a table has only what was made of them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterator
from itertools import islice

from catchment import store
from catchment.compare import Record
from catchment.errors import InvalidFile
from catchment.observe.reading import records, sniff


def read_records(run: store.Run, wanted: Collection[Record]) -> Iterator[tuple[Record, bytes]]:
    """Yield records of a run's raw files with their bytes; those of files that cannot be read any more are left out."""
    by_file = defaultdict[str, list[int]](list)
    for name, number in wanted:
        by_file[name].append(number)
    for name, numbers in sorted(by_file.items()):
        try:
            found = records(sniff(store.raw_folder(run.path) / name))
        except InvalidFile:
            continue
        position = 0
        for number in sorted(numbers):
            raw = next(islice(found, number - position - 1, None), None)
            if raw is None:
                break
            position = number
            yield (name, number), raw
