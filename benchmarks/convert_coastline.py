"""Write catchment/figures/coastline.npz from the TopoJSON files of the npm package world-atlas 2.0.2.

    python benchmarks/convert_coastline.py FOLDER [catchment/figures/coastline.npz]

FOLDER is the unpacked package: it holds `land-50m.json` and `countries-50m.json`, Natural Earth's 1:50m coast and
countries (public domain). Kept are the rings of the land (outer ones clockwise, holes the other way) and the borders
that two countries share. Longitudes run on past 180 where a line crosses the antimeridian, so that no line jumps; the
ring of Antarctica is closed along the pole. The same package gives the same bytes.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from catchment.figures.coastline import UNITS_PER_DEGREE

Line = NDArray[np.float64]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("output", type=Path, nargs="?", default=Path("catchment/figures/coastline.npz"))
    arguments = parser.parse_args()
    land = json.loads((arguments.folder / "land-50m.json").read_bytes())
    countries = json.loads((arguments.folder / "countries-50m.json").read_bytes())
    lines = {"land": land_rings(land), "borders": shared_borders(countries)}
    arrays = {f"{name}_{part}": array for name, value in lines.items() for part, array in packed(value).items()}
    np.savez_compressed(arguments.output, allow_pickle=False, **arrays)
    kilobytes = arguments.output.stat().st_size / 1000
    print(f"{arguments.output}: {kilobytes:.0f} kB, " + ", ".join(f"{len(v)} {k}" for k, v in lines.items()))


def decoded_arcs(topology: dict[str, Any]) -> list[Line]:
    """Return the arcs in degrees, each (n, 2)."""
    scale, translate = topology["transform"]["scale"], topology["transform"]["translate"]
    return [np.cumsum(np.asarray(arc), axis=0) * scale + translate for arc in topology["arcs"]]


def polygons(geometry: dict[str, Any]) -> list[list[list[int]]]:
    """Return the polygons of a geometry, each a list of rings, each a list of arc numbers."""
    match geometry["type"]:
        case "GeometryCollection":
            return [polygon for part in geometry["geometries"] for polygon in polygons(part)]
        case "MultiPolygon":
            return list(geometry["arcs"])
        case "Polygon":
            return [geometry["arcs"]]
        case kind:
            raise ValueError(f"unexpected geometry {kind}")


def joined(ring: list[int], arcs: list[Line]) -> Line:
    """Return one line out of arcs; the number ~i means arc i backwards, and each arc starts where the last ended."""
    parts = [arcs[i] if i >= 0 else arcs[~i][::-1] for i in ring]
    return np.concatenate([parts[0], *(part[1:] for part in parts[1:])])


def unwrapped(line: Line) -> Line:
    """Return the line without jumps of 360 degrees, its middle within 180 degrees of Greenwich."""
    longitudes = np.unwrap(line[:, 0], period=360)
    middle = (longitudes.min() + longitudes.max()) / 2
    return np.column_stack((longitudes - 360 * np.round(middle / 360), line[:, 1]))


def land_rings(topology: dict[str, Any]) -> list[Line]:
    arcs = decoded_arcs(topology)
    rings = []
    for polygon in polygons(topology["objects"]["land"]):
        for number, arc_numbers in enumerate(polygon):
            ring = unwrapped(joined(arc_numbers, arcs))
            if abs(ring[-1, 0] - ring[0, 0]) > 180:
                ring = np.vstack((ring, [ring[-1, 0], -90], [ring[0, 0], -90], ring[:1]))
            x, y = ring.T
            area = float(np.sum(x[:-1] * y[1:] - x[1:] * y[:-1])) / 2
            if area != 0:  # the package has a ring that runs along the south pole only
                rings.append(ring if (area < 0) == (number == 0) else ring[::-1])
    return rings


def shared_borders(topology: dict[str, Any]) -> list[Line]:
    """Return the arcs that belong to two different countries."""
    owners: dict[int, set[int]] = {}
    for country, geometry in enumerate(topology["objects"]["countries"]["geometries"]):
        for polygon in polygons(geometry):
            for ring in polygon:
                for arc in ring:
                    owners.setdefault(arc if arc >= 0 else ~arc, set()).add(country)
    arcs = decoded_arcs(topology)
    return [unwrapped(arcs[arc]) for arc in sorted(owners) if len(owners[arc]) > 1]


def packed(lines: list[Line]) -> dict[str, NDArray[Any]]:
    """Return the lines as starts, lengths and steps in whole units, without steps of nothing."""
    starts, lengths, steps = [], [], []
    for line in lines:
        units = np.round(line * UNITS_PER_DEGREE).astype(np.int32)
        step = np.diff(units, axis=0)
        step = step[np.any(step != 0, axis=1)]
        if len(step) == 0:
            continue
        starts.append(units[0])
        lengths.append(len(step))
        steps.append(step)
    return {
        "starts": np.array(starts, dtype=np.int32),
        "lengths": np.array(lengths, dtype=np.int32),
        "steps": np.concatenate(steps).T.copy(),
    }


if __name__ == "__main__":
    main()
