"""Code systems of places: IATA locations, UN/LOCODE, and the names of towns.

Operators put such codes into the names of servers and routers. `airports` and `unlocode` turn a code into a place,
`towns` tells which spellings are one town.
"""

from catchment.places.airports import iata_place, is_iata_hub, main_airport, towns_called
from catchment.places.towns import Place, town_key
from catchment.places.unlocode import is_unlocode_hub, unlocode_place

__all__ = ["Place", "iata_place", "is_hub", "main_airport", "town_key", "towns_called", "unlocode_place"]


def is_hub(code: str) -> bool:
    """Tell whether a service may well have a site at the place of an IATA code or UN/LOCODE, in any letter case.

    Most codes are of places where nobody has servers, and of these some are words that hosts are called by.
    """
    return is_iata_hub(code) if len(code) == 3 else is_unlocode_hub(code)
