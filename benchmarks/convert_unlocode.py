"""Convert the UN/LOCODE release into the compact table `catchment/places/unlocode.npz`.

    python -m benchmarks.convert_unlocode "2023-1 UNLOCODE CodeListPart1.csv" Part2.csv Part3.csv

The lists are UNECE's release 2023-1 (latin-1; dedicated to the public domain, PDDL), with the columns change, country,
location, name, name without diacritics, subdivision, function, status, date, IATA code, coordinates, remarks. Kept are
entries with coordinates. Those without, among them London and Los Angeles, get the coordinates of their airport or IATA
metropolitan area (catchment.places.iata_place), or of the root servers there.

A sign or a digit of coordinates is often wrong. A town whose own airport is more than 100 km away gets the airport's.
An entry that is more than 400 km from every airport of its country is left out: it would put a site on another
continent. Antarctica is kept as it is, and what is within 800 km in countries that are emptier than that.

A hub is an entry with an airport (function 4) or an office that exchanges mail with other countries (function 5), or
one by whose code root servers A, J, K and L are named.
"""

from __future__ import annotations

import argparse
import csv
import re
from collections import Counter, defaultdict
from pathlib import Path

import airportsdata
import numpy as np
from numpy.typing import NDArray

from catchment.geo import arc_km
from catchment.places import Place
from catchment.places.airports import iata_place
from catchment.places.towns import town_key
from catchment.services import bundled_service

TABLE = Path(__file__).parent.parent / "catchment" / "places" / "unlocode.npz"
COORDINATES = re.compile(r"(\d\d)(\d\d)([NS]) (\d{3})(\d\d)([EW])")
FROM_AIRPORT_KM = 100.0
FROM_ANY_AIRPORT_KM = 400.0
IN_EMPTY_COUNTRIES_KM = 800.0
EMPTY_COUNTRIES = {"FM", "MH", "PF", "RU"}  # atolls and Siberia
NAMED_BY_UNLOCODE = ("a-root", "j-root", "k-root", "l-root")

# Towns that identities of root servers name, without coordinates in UN/LOCODE, or (Tórshavn) with those of a place in
# the Atlantic: degrees as on root-servers.org, 2025-01.
TOWNS = {
    "AUKAH": (-37.81, 144.96),
    "CKRAR": (-21.20, -159.80),
    "DEKAE": (49.01, 8.40),
    "FOTOR": (62.01, -6.77),
    "IDBKA": (-6.23, 106.99),
    "IRESF": (32.67, 51.67),
    "ITLTN": (41.46, 13.01),
    "ITPCZ": (45.05, 9.69),
    "KZAST": (51.16, 71.47),
    "PECLL": (-12.05, -77.14),
    "PRCAR": (18.38, -65.96),
    "PWROR": (7.34, 134.47),
    "USLGW": (28.70, -81.35),
    "USMNZ": (38.75, -77.48),
    "USPLZ": (33.02, -96.70),
    "USRTV": (38.95, -77.35),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("parts", type=Path, nargs="+")
    entries: dict[str, tuple[str, float, float]] = {}
    hubs = published_codes()
    airports = airports_by_country()
    counts: Counter[str] = Counter()
    for part in parser.parse_args().parts:
        # Latin-1 says the UNECE; the few apostrophes of Windows in it say otherwise.
        with part.open(encoding="cp1252", newline="") as stream:
            for change, country, location, name, _, _, function, _, _, iata, coordinates, _ in csv.reader(stream):
                code = country + location
                # A country, another name for an entry, or one taken out.
                if not location or change in {"X", "x"} or code in entries:
                    continue
                town = town_of(name, country, location)
                airport = airport_of(town, country, location, iata, function)
                place = degrees(coordinates)
                if place is None:
                    place = TOWNS.get(code) if airport is None else (airport.latitude, airport.longitude)
                elif airport is not None and is_misplaced(place, airport, town, function):
                    place = airport.latitude, airport.longitude
                    counts["moved to their airports"] += 1
                if place is not None and is_far(place, country, airports.get(country)):
                    place = TOWNS.get(code)
                    counts["left out, far from the country"] += place is None
                if place is None:
                    continue
                entries[code] = (town, *place)
                if {"4", "5"} & set(function):
                    hubs.add(code)
    codes = sorted(entries)
    np.savez_compressed(
        TABLE,
        codes=np.array(codes, dtype="S5"),
        latitude_minutes=np.array([round(entries[code][1] * 60) for code in codes], dtype=np.int16),
        longitude_minutes=np.array([round(entries[code][2] * 60) for code in codes], dtype=np.int16),
        names=np.frombuffer("\n".join(entries[code][0] for code in codes).encode(), dtype=np.uint8),
        hubs=np.packbits([code in hubs for code in codes]),
    )
    counts["hubs"] = sum(code in hubs for code in codes)
    print(f"{len(codes):,} places, {TABLE.stat().st_size / 1024:.0f} KiB; {dict(counts)}")


def published_codes() -> set[str]:
    """Return the codes of root servers, those made up by their operators as well."""
    sites = (site for name in NAMED_BY_UNLOCODE for site in bundled_service(name).sites)
    return {code.replace("-", "").upper() for site in sites for code in (site.code, *site.codes)}


def airports_by_country() -> dict[str, NDArray[np.float64]]:
    """Return latitudes and longitudes, in two columns, of the airports of each country."""
    found = defaultdict(list)
    for code in airportsdata.load("IATA"):
        airport = iata_place(code)
        if airport is not None:
            found[airport.country].append((airport.latitude, airport.longitude))
    return {country: np.array(places) for country, places in found.items()}


def is_far(place: tuple[float, float], country: str, airports: NDArray[np.float64] | None) -> bool:
    """Tell whether a place is too far from every airport of its country to be in it; never where there is none."""
    if country == "AQ" or airports is None:
        return False
    limit_km = IN_EMPTY_COUNTRIES_KM if country in EMPTY_COUNTRIES else FROM_ANY_AIRPORT_KM
    return min(arc_km(*place, latitude, longitude) for latitude, longitude in airports.tolist()) > limit_km


def is_misplaced(place: tuple[float, float], airport: Place, town: str, function: str) -> bool:
    """Tell whether a town is too far from its own airport; a namesake in another state may have the same letters."""
    is_own = "4" in function and town_key(airport.town, airport.country) == town_key(town, airport.country)
    return is_own and arc_km(*place, airport.latitude, airport.longitude) > FROM_AIRPORT_KM


def town_of(name: str, country: str, location: str) -> str:
    """`Helsingfors (Helsinki)`, `Dulles Int Apt/Washington` and `Erbil International Apt` to a town."""
    if re.search(r"\bApt\b", name):
        airport = iata_place(location)
        if airport is not None and airport.country == country:
            return airport.town
    first, _, second = name.partition("/")
    town = second if second and first.endswith(" Apt") else first
    return re.sub(r"( International| Intl| Int)? Apt$", "", town.split("(")[0].strip()).strip() or name


def airport_of(town: str, country: str, location: str, iata: str, function: str) -> Place | None:
    for code in (iata, location):
        place = iata_place(code)
        if place is None or place.country != country:
            continue
        # "4" is an airport. Without one, the same three letters may be another place.
        if "4" in function or town_key(place.town, country) == town_key(town, country):
            return place
    return None


def degrees(coordinates: str) -> tuple[float, float] | None:
    found = COORDINATES.fullmatch(coordinates.strip())
    if not found:
        return None
    latitude = int(found[1]) + int(found[2]) / 60
    longitude = int(found[4]) + int(found[5]) / 60
    return latitude if found[3] == "N" else -latitude, longitude if found[6] == "E" else -longitude


if __name__ == "__main__":
    main()
