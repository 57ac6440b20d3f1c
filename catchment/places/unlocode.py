"""UN/LOCODE: the United Nations' codes of towns, ports and airports, as `NLAMS`."""

from __future__ import annotations

import re
from bisect import bisect_left
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from catchment.places.towns import Place

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

_TABLE = Path(__file__).parent / "unlocode.npz"
_CODE = re.compile(r"([A-Za-z]{2})[ -]?([A-Za-z2-9]{3})")


def unlocode_place(code: str) -> Place | None:
    """Return the place of a UN/LOCODE, written `nlams`, `nl-ams` or `NL AMS`; None where the table has none."""
    match = _CODE.fullmatch(code)
    return _place((match[1] + match[2]).upper()) if match else None


def is_unlocode_hub(code: str) -> bool:
    """Tell whether the place of a UN/LOCODE has an airport, an office for mail from abroad, or a root server."""
    match = _CODE.fullmatch(code)
    row = _row((match[1] + match[2]).upper()) if match else None
    return row is not None and bool(_table().hubs[row])


@cache
def _place(code: str) -> Place | None:
    row = _row(code)
    if row is None:
        return None
    table = _table()
    return Place(
        code=code.lower(),
        town=table.names[row],
        country=code[:2],
        latitude=round(float(table.latitude_minutes[row]) / 60, 4),
        longitude=round(float(table.longitude_minutes[row]) / 60, 4),
    )


def _row(code: str) -> int | None:
    codes = _table().codes
    row = bisect_left(codes, code.encode())
    return row if row < len(codes) and codes[row] == code.encode() else None


@dataclass(frozen=True, slots=True, kw_only=True)
class _Table:
    """Codes in order, and for each the minutes of its coordinates, its name, and whether it is a hub."""

    codes: NDArray[np.bytes_]
    latitude_minutes: NDArray[np.int16]
    longitude_minutes: NDArray[np.int16]
    names: list[str]
    hubs: NDArray[np.uint8]


@cache
def _table() -> _Table:
    import numpy as np  # noqa: PLC0415

    with np.load(_TABLE, allow_pickle=False) as stored:
        return _Table(
            codes=stored["codes"],
            latitude_minutes=stored["latitude_minutes"],
            longitude_minutes=stored["longitude_minutes"],
            names=stored["names"].tobytes().decode().split("\n"),
            hubs=np.unpackbits(stored["hubs"]),
        )
