"""Convert the UN/LOCODE release into the compact table `catchment/places/unlocode.npz`.

    python -m benchmarks.convert_unlocode "2023-1 UNLOCODE CodeListPart1.csv" Part2.csv Part3.csv

The lists are UNECE's release 2023-1 (latin-1; dedicated to the public domain, PDDL), with the columns change, country,
location, name, name without diacritics, subdivision, status, function, date, IATA code, coordinates, remarks. Kept are
entries with coordinates. Those without, among them London and Los Angeles, get the coordinates of their airport or IATA
metropolitan area (catchment.places.iata_place), or of the root servers there.
"""

from __future__ import annotations

import argparse
import csv
import re
from pathlib import Path

import numpy as np

from catchment.places.airports import iata_place
from catchment.places.towns import town_key

TABLE = Path(__file__).parent.parent / "catchment" / "places" / "unlocode.npz"
COORDINATES = re.compile(r"(\d\d)(\d\d)([NS]) (\d{3})(\d\d)([EW])")


# Towns that identities of root servers name, without coordinates in UN/LOCODE: degrees as on root-servers.org, 2025-01.
TOWNS = {
    "AUKAH": (-37.81, 144.96),
    "CKRAR": (-21.20, -159.80),
    "DEKAE": (49.01, 8.40),
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
    entries: dict[str, tuple[str, int, int]] = {}
    for part in parser.parse_args().parts:
        # Latin-1 says the UNECE; the few apostrophes of Windows in it say otherwise.
        with part.open(encoding="cp1252", newline="") as stream:
            for change, country, location, name, _, _, _, function, _, iata, coordinates, _ in csv.reader(stream):
                if not location or change in {"X", "x"}:  # a country, another name for an entry, or one taken out
                    continue
                town = town_of(name, country, location)
                place = degrees(town, country, location, iata, function, coordinates)
                if place is not None:
                    entries.setdefault(country + location, (town, round(place[0] * 60), round(place[1] * 60)))
    codes = sorted(entries)
    np.savez_compressed(
        TABLE,
        codes=np.array(codes, dtype="S5"),
        latitude_minutes=np.array([entries[code][1] for code in codes], dtype=np.int16),
        longitude_minutes=np.array([entries[code][2] for code in codes], dtype=np.int16),
        names=np.frombuffer("\n".join(entries[code][0] for code in codes).encode(), dtype=np.uint8),
    )
    print(f"{len(codes):,} places, {TABLE.stat().st_size / 1024:.0f} KiB")


def town_of(name: str, country: str, location: str) -> str:
    """`Helsingfors (Helsinki)`, `Dulles Int Apt/Washington` and `Erbil International Apt` to a town."""
    if re.search(r"\bApt\b", name):
        airport = iata_place(location)
        if airport is not None and airport.country == country:
            return airport.town
    first, _, second = name.partition("/")
    town = second if second and first.endswith(" Apt") else first
    return re.sub(r"( International| Intl| Int)? Apt$", "", town.split("(")[0].strip()).strip() or name


def degrees(
    town: str, country: str, location: str, iata: str, function: str, coordinates: str
) -> tuple[float, float] | None:
    found = COORDINATES.fullmatch(coordinates.strip())
    if found:
        latitude = int(found[1]) + int(found[2]) / 60
        longitude = int(found[4]) + int(found[5]) / 60
        return latitude if found[3] == "N" else -latitude, longitude if found[6] == "E" else -longitude
    for code in (iata, location):
        place = iata_place(code)
        if place is None or place.country != country:
            continue
        # "4" is an airport. Without one, the same three letters may be another place.
        if "4" in function or town_key(place.town, country) == town_key(town, country):
            return place.latitude, place.longitude
    return TOWNS.get(country + location)


if __name__ == "__main__":
    main()
