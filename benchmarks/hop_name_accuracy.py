"""How well places are read in routers' names: precision and recall over the names of tests/data/hop_names.csv.

    python benchmarks/hop_name_accuracy.py

The service has a site in each of 75 hubs, under codes that help nobody. Names of the list that point to no site stand
in it with an empty town. Names are from public traceroutes, or made up in the same conventions under example domains.
The last of them were added when the rules stood, and no code was taught for them: their figures are the honest ones.
"""

from __future__ import annotations

import csv
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from catchment.assign.hop_names import HopNameReader
from catchment.model import Address, Service, Site

NAMES = Path(__file__).parent.parent / "tests" / "data" / "hop_names.csv"

_HUBS = """
AE Dubai 25.2 55.3; AR Buenos Aires -34.6 -58.4; AT Vienna 48.2 16.4; AU Sydney -33.9 151.2; AU Perth -32.0 115.9
BE Brussels 50.8 4.4; BG Sofia 42.7 23.3; BR São Paulo -23.5 -46.6; BR Rio de Janeiro -22.9 -43.2
CA Toronto 43.7 -79.4; CA Montreal 45.5 -73.6; CA Vancouver 49.3 -123.1; CH Zurich 47.4 8.5; CL Santiago -33.4 -70.6
CO Bogotá 4.7 -74.1; CR San José 9.9 -84.1; CZ Prague 50.1 14.4; DE Berlin 52.5 13.4; DE Frankfurt 50.1 8.7
DE Hamburg 53.6 10.0; DE Munich 48.1 11.6; DK Copenhagen 55.7 12.6; ES Madrid 40.4 -3.7; ES Barcelona 41.4 2.2
FI Helsinki 60.2 24.9; FR Marseille 43.3 5.4; FR Paris 48.9 2.4; GB London 51.5 -0.1; GB Manchester 53.5 -2.2
GR Athens 38.0 23.7; HK Hong Kong 22.3 114.2; HR Zagreb 45.8 16.0; HU Budapest 47.5 19.0; ID Jakarta -6.2 106.8
IE Dublin 53.3 -6.3; IN Mumbai 19.1 72.9; IN Chennai 13.1 80.3; IT Milan 45.5 9.2; JP Tokyo 35.7 139.7
JP Osaka 34.7 135.5; KE Nairobi -1.3 36.8; KR Seoul 37.6 127.0; MX Mexico City 19.4 -99.1; MY Kuala Lumpur 3.1 101.7
NL Amsterdam 52.4 4.9; NO Oslo 59.9 10.8; NZ Auckland -36.8 174.8; PE Lima -12.0 -77.0; PH Manila 14.6 121.0
PL Warsaw 52.2 21.0; PT Lisbon 38.7 -9.1; RO Bucharest 44.4 26.1; RU Moscow 55.8 37.6; SE Stockholm 59.3 18.1
SG Singapore 1.3 103.8; TH Bangkok 13.8 100.5; TR Istanbul 41.0 29.0; TW Taipei 25.0 121.6; UA Kyiv 50.5 30.5
US Ashburn 39.0 -77.5; US Washington 38.9 -77.0; US Atlanta 33.8 -84.4; US Chicago 41.9 -87.6; US Dallas 32.8 -96.8
US Denver 39.7 -105.0; US Houston 29.8 -95.4; US Los Angeles 34.1 -118.2; US Miami 25.8 -80.2; US New York 40.7 -74.0
US San Jose 37.3 -121.9; US Seattle 47.6 -122.3; ZA Johannesburg -26.2 28.0; ZA Cape Town -33.9 18.4
AR Córdoba -31.4 -64.2; NG Lagos 6.5 3.4
"""


ADDED_AFTERWARDS = 40


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """One name of the list: the town that it means, None for none, and the towns that were read in it."""

    name: str
    meant: tuple[str, str] | None
    found: tuple[tuple[str, str], ...]


def hub_service() -> Service:
    """Return a service with a site in each hub."""
    return Service(
        name="hubs", operator="Example", addresses=(Address(address="192.0.2.53"),), sites=tuple(_hub_sites())
    )


def _hub_sites() -> Iterator[Site]:
    for number, entry in enumerate(_HUBS.replace("\n", ";").strip(";").split(";")):
        country, *town, latitude, longitude = entry.split()
        yield Site(
            code=f"site-{number}",
            town=" ".join(town),
            country=country,
            latitude=float(latitude),
            longitude=float(longitude),
        )


def readings(service: Service, path: Path = NAMES) -> list[Reading]:
    """Return what is read in each name of the list."""
    names = HopNameReader(service)
    with path.open(newline="", encoding="utf-8") as lines:
        return [
            Reading(
                name=row["name"],
                meant=(row["country"], row["town"]) if row["town"] else None,
                found=tuple((named.site.country, named.site.town) for named in names.sites_in(row["name"])),
            )
            for row in csv.DictReader(lines)
        ]


def report(what: str, read: list[Reading]) -> None:
    """Print precision and recall over some names."""
    placed = [reading for reading in read if reading.meant is not None]
    right = [reading for reading in placed if reading.found == (reading.meant,)]
    spoken = [reading for reading in read if reading.found]
    domains = {".".join(reading.name.lower().rstrip(".").split(".")[-2:]) for reading in placed}
    print(f"{what}: {len(placed)} with a place, under {len(domains)} domains, {len(read) - len(placed)} without")
    print(f"  precision {len(right) / len(spoken):.3f} ({len(right)} of {len(spoken)} in which a place was read)")
    print(f"  recall    {len(right) / len(placed):.3f} ({len(right)} of {len(placed)})")


def main() -> None:
    service = hub_service()
    read = readings(service)
    report("all names", read)
    report("names added afterwards", read[-ADDED_AFTERWARDS:])
    for reading in read:
        if reading.found != ((reading.meant,) if reading.meant else ()):
            print(f"  {reading.name}: meant {reading.meant}, read {reading.found}")
    names = HopNameReader(service)
    start = time.perf_counter()
    for _ in range(20):
        for reading in read:
            names.sites_in(reading.name)
    print(f"{(time.perf_counter() - start) / 20 / len(read) * 1e6:.1f} µs a name")


if __name__ == "__main__":
    main()
