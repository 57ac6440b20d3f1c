"""Code systems of places: IATA locations, UN/LOCODE, and the names of towns.

Operators put such codes into the names of servers and routers. `airports` and `unlocode` turn a code into a place,
`towns` tells which spellings are one town.
"""

from catchment.places.airports import iata_place, main_airport
from catchment.places.towns import Place, town_key
from catchment.places.unlocode import unlocode_place

__all__ = ["Place", "iata_place", "main_airport", "town_key", "unlocode_place"]
