"""Distances on the Earth, light in fibre, and the nearest of many sites.

Distances are geodesics on the WGS-84 ellipsoid. A sphere is wrong by up to 0.56 %, enough to name the wrong nearest
site for about one vantage point in a thousand.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

LIGHT_KM_PER_MS = 299_792.458 / 1.52 / 2 / 1000
"""Kilometres of distance that light in fibre covers per millisecond of round trip: 98.616, the field's constant."""

IMPOSSIBLE_KM_PER_MS = 102.1
"""The same in the fastest fibre (refractive index 1.468): for judging, where the doubt belongs to the vantage point."""

IMPOSSIBLE_SLACK_KM = 100.0
"""How far the places of a vantage point and a site may be wrong together before an answer is called impossible."""


MEAN_RADIUS_KM = 6371.0088
"""Of the Earth, for great circles."""

# Between any two points, geodesic / great-circle distance lies in [0.99442, 1.00449]. A site whose great circle is more
# than the quotient of the two (1.0102) times the shortest one cannot be the nearest; 1.0115 leaves room for rounding.
_AMBIGUOUS_RATIO = 1.0115
_LEAST_GEODESIC_RATIO = 0.9944
# Great circles from dot products lose their digits near zero: 1 - 1e-16 is already 0.1 m, so a metre is ample.
_AMBIGUOUS_SLACK_KM = 0.001
_CHUNK = 16_384


def reach_sql(rtt_ms: str) -> str:
    """Return the SQL for the farthest that an answer can have come from, in km, given the SQL for its time."""
    return f"({rtt_ms} * {IMPOSSIBLE_KM_PER_MS} + {IMPOSSIBLE_SLACK_KM})"


def light_allows(distance_km: float | None, rtt_ms: float | None) -> bool:
    """Tell whether an answer can have come so fast from so far, by the kinder rule, for all that is known."""
    if distance_km is None or rtt_ms is None:
        return True
    return distance_km <= rtt_ms * IMPOSSIBLE_KM_PER_MS + IMPOSSIBLE_SLACK_KM


def on_earth(latitude: float, longitude: float) -> bool:
    """Tell whether these are degrees of a place."""
    return -90 <= latitude <= 90 and -180 <= longitude <= 180


def arc_km(latitude: float, longitude: float, other_latitude: float, other_longitude: float) -> float:
    """Return the great-circle distance in km between two points: for where half a per cent is no matter."""
    phi, other_phi = math.radians(latitude), math.radians(other_latitude)
    half = (
        math.sin((other_phi - phi) / 2) ** 2
        + math.cos(phi) * math.cos(other_phi) * math.sin(math.radians(other_longitude - longitude) / 2) ** 2
    )
    return 2 * MEAN_RADIUS_KM * math.asin(math.sqrt(min(1.0, half)))


def distance_km(
    latitudes: NDArray[np.float64],
    longitudes: NDArray[np.float64],
    other_latitudes: NDArray[np.float64],
    other_longitudes: NDArray[np.float64],
) -> NDArray[np.float64]:
    """Return the geodesic distances in km between points, pair by pair; all four arrays have one length."""
    import numpy as np  # noqa: PLC0415  (NumPy and pyproj cost 0.15 s of start-up)
    from pyproj import Geod  # noqa: PLC0415

    _, _, metres = Geod(ellps="WGS84").inv(longitudes, latitudes, other_longitudes, other_latitudes)
    return np.asarray(metres, dtype=np.float64) / 1000


def nearest(
    latitudes: NDArray[np.float64],
    longitudes: NDArray[np.float64],
    site_latitudes: NDArray[np.float64],
    site_longitudes: NDArray[np.float64],
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Return for each point the index of its nearest site and the distance to it in km; ties go to the first site.

    Great circles from dot products of unit vectors leave one candidate for most points; where an ellipsoid could turn
    the order of two sites round, geodesics decide. Raises ValueError where there is no site.
    """
    import numpy as np  # noqa: PLC0415

    if len(site_latitudes) == 0:
        raise ValueError("there is no site to be near to")
    site_vectors = _unit_vectors(site_latitudes, site_longitudes)
    index = np.empty(len(latitudes), dtype=np.int64)
    for start in range(0, len(latitudes), _CHUNK):
        chunk = slice(start, start + _CHUNK)
        cosines = _unit_vectors(latitudes[chunk], longitudes[chunk]) @ site_vectors.T
        arcs_km = np.arccos(np.clip(cosines, -1, 1)) * MEAN_RADIUS_KM
        index[chunk] = np.argmin(arcs_km, axis=1)
        limit_km = arcs_km.min(axis=1) * _AMBIGUOUS_RATIO + _AMBIGUOUS_SLACK_KM
        rivals = arcs_km <= limit_km[:, None]
        for row in np.flatnonzero(rivals.sum(axis=1) > 1):
            sites = np.flatnonzero(rivals[row])
            here = np.full(len(sites), latitudes[start + row]), np.full(len(sites), longitudes[start + row])
            index[start + row] = sites[np.argmin(distance_km(*here, site_latitudes[sites], site_longitudes[sites]))]
    return index, distance_km(latitudes, longitudes, site_latitudes[index], site_longitudes[index])


def sites_within(
    latitudes: NDArray[np.float64],
    longitudes: NDArray[np.float64],
    limits_km: NDArray[np.float64],
    site_latitudes: NDArray[np.float64],
    site_longitudes: NDArray[np.float64],
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return for each point how many sites lie within its limit in km, and the index of the first of them.

    Distances are great circles, shortened by what an ellipsoid could take off: a site is rather counted than missed.
    """
    import numpy as np  # noqa: PLC0415

    site_vectors = _unit_vectors(site_latitudes, site_longitudes)
    count, first = np.empty(len(latitudes), dtype=np.int64), np.empty(len(latitudes), dtype=np.int64)
    for start in range(0, len(latitudes), _CHUNK):
        chunk = slice(start, start + _CHUNK)
        cosines = _unit_vectors(latitudes[chunk], longitudes[chunk]) @ site_vectors.T
        # Cosines of the few limits instead of arcs of all pairs; rounding may take a little off that of a point itself.
        arcs = np.minimum(limits_km[chunk] / (MEAN_RADIUS_KM * _LEAST_GEODESIC_RATIO), math.pi)
        within = cosines >= np.cos(arcs)[:, None] - 1e-12
        count[chunk], first[chunk] = within.sum(axis=1), np.argmax(within, axis=1)
    return count, first


def _unit_vectors(latitudes: NDArray[np.float64], longitudes: NDArray[np.float64]) -> NDArray[np.float64]:
    import numpy as np  # noqa: PLC0415

    phi, lam = np.radians(latitudes), np.radians(longitudes)
    return np.column_stack((np.cos(phi) * np.cos(lam), np.cos(phi) * np.sin(lam), np.sin(phi)))


CONTINENTS: dict[str, str] = {
    "africa": (
        "AO BF BI BJ BW CD CF CG CI CM CV DJ DZ EG EH ER ET GA GH GM GN GQ GW KE KM LR LS LY MA MG ML MR "
        "MU MW MZ NA NE NG RE RW SC SD SH SL SN SO SS ST SZ TD TG TN TZ UG YT ZA ZM ZW"
    ),
    "antarctica": ("AQ BV GS HM TF"),
    "asia": (
        "AE AF AM AZ BD BH BN BT CC CN CX CY GE HK ID IL IN IO IQ IR JO JP KG KH KP KR KW KZ LA LB LK MM "
        "MN MO MV MY NP OM PH PK PS QA SA SG SY TH TJ TL TM TR TW UZ VN YE"
    ),
    "europe": (
        "AD AL AT AX BA BE BG BY CH CZ DE DK EE ES FI FO FR GB GG GI GR HR HU IE IM IS IT JE LI LT LU LV "
        "MC MD ME MK MT NL NO PL PT RO RS RU SE SI SJ SK SM UA VA XK"
    ),
    "north-america": (
        "AG AI AW BB BL BM BQ BS BZ CA CR CU CW DM DO GD GL GP GT HN HT JM KN KY LC MF MQ MS MX NI PA PM "
        "PR SV SX TC TT US VC VG VI"
    ),
    "oceania": ("AS AU CK FJ FM GU KI MH MP NC NF NR NU NZ PF PG PN PW SB TK TO TV UM VU WF WS"),
    "south-america": ("AR BO BR CL CO EC FK GF GY PE PY SR UY VE"),
}
"""ISO 3166-1 country codes by continent (UN M49: Cyprus, Turkey and the Caucasus in Asia, Russia in Europe)."""

CONTINENT_OF: dict[str, str] = {
    country: name for name, countries in CONTINENTS.items() for country in countries.split()
}
"""The continent of a country code."""
