"""Raw records of a stored run, read again where a table has only what was made of them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Collection, Iterator
from itertools import islice
from pathlib import Path

from catchment import store
from catchment.compare import Record
from catchment.errors import InvalidFile
from catchment.observe.reading import records, sniff


def read_records(
    run: store.Run, wanted: Collection[Record], lack: Callable[[Path, int], None] = lambda _, __: None
) -> Iterator[tuple[Record, bytes]]:
    """Yield records of a run's raw files with their bytes.

    `lack` is called with each file that is gone, damaged or shorter than it was, and how many records it does not give.
    """
    by_file = defaultdict[str, list[int]](list)
    for name, number in wanted:
        by_file[name].append(number)
    for name, numbers in sorted(by_file.items()):
        file, given = store.raw_folder(run.path) / name, 0
        try:
            found = records(sniff(file))
            for number, before in zip(sorted(numbers), (0, *sorted(numbers)), strict=False):
                raw = next(islice(found, number - before - 1, None), None)
                if raw is None:
                    break
                given += 1
                yield (name, number), raw
        except InvalidFile:
            pass
        if given < len(numbers):
            lack(file, len(numbers) - given)
