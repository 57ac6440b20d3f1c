"""Parts of the world by the names that RIPE Atlas gives them, as lists of countries or as bands of the globe."""

from __future__ import annotations

from dataclasses import dataclass

from catchment.geo import CONTINENTS

EVERYWHERE = "WW"
"""The area that is the whole world."""


@dataclass(frozen=True, slots=True)
class Band:
    """A part of the globe: from `west` up to `east`, from `south` up to `north`, in degrees."""

    west: float
    east: float
    south: float = -90.0
    north: float = 90.1  # the pole itself belongs to the northern ones

    def holds(self, latitude: float, longitude: float) -> bool:
        """Tell whether a place lies in it."""
        return self.south <= latitude < self.north and self.west <= longitude < self.east


# RIPE Atlas calls its five areas arbitrary and does not publish where they end. They are cut here so that the Americas,
# Europe, Africa with the Middle East, the north of Asia, and its south with Oceania are in one piece each, roughly.
BANDS = {
    "West": Band(-180.0, -25.0),
    "North-Central": Band(-25.0, 60.0, south=36.0),
    "South-Central": Band(-25.0, 60.0, north=36.0),
    "North-East": Band(60.0, 180.1, south=25.0),
    "South-East": Band(60.0, 180.1, north=25.0),
}
"""RIPE Atlas's five areas of the world. They have no gap and no overlap; only what lies nowhere is in none."""

AREAS = (EVERYWHERE, *BANDS, *CONTINENTS)
"""What `area` may be: everywhere, a band of the globe, or a continent."""

# UN M49, 2026. It knows no Taiwan and no Kosovo: they stand where their neighbours do.
_UN = {
    "northern_africa": "DZ EG EH LY MA SD TN",
    "eastern_africa": "BI DJ ER ET IO KE KM MG MU MW MZ RE RW SC SO SS TF TZ UG YT ZM ZW",
    "middle_africa": "AO CD CF CG CM GA GQ ST TD",
    "southern_africa": "BW LS NA SZ ZA",
    "western_africa": "BF BJ CI CV GH GM GN GW LR ML MR NE NG SH SL SN TG",
    "caribbean": "AG AI AW BB BL BQ BS CU CW DM DO GD GP HT JM KN KY LC MF MQ MS PR SX TC TT VC VG VI",
    "central_america": "BZ CR GT HN MX NI PA SV",
    "south_america": "AR BO BR BV CL CO EC FK GF GS GY PE PY SR UY VE",
    "northern_america": "BM CA GL PM US",
    "antarctica": "AQ",
    "central_asia": "KG KZ TJ TM UZ",
    "eastern_asia": "CN HK JP KP KR MN MO TW",
    "south_eastern_asia": "BN ID KH LA MM MY PH SG TH TL VN",
    "southern_asia": "AF BD BT IN IR LK MV NP PK",
    "western_asia": "AE AM AZ BH CY GE IL IQ JO KW LB OM PS QA SA SY TR YE",
    "eastern_europe": "BG BY CZ HU MD PL RO RU SK UA",
    "northern_europe": "AX DK EE FI FO GB GG IE IM IS JE LT LV NO SE SJ",
    "southern_europe": "AD AL BA ES GI GR HR IT ME MK MT PT RS SI SM VA XK",
    "western_europe": "AT BE CH DE FR LI LU MC NL",
    "australia_and_new_zealand": "AU CC CX HM NF NZ",
    "melanesia": "FJ NC PG SB VU",
    "micronesia": "FM GU KI MH MP NR PW UM",
    "polynesia": "AS CK NU PF PN TK TO TV WF WS",
}
_OF_SEVERAL = {
    "africa": ("northern_africa", "sub_saharan_africa"),
    "sub_saharan_africa": ("eastern_africa", "middle_africa", "southern_africa", "western_africa"),
    "americas": ("latin_america_and_caribbean", "northern_america"),
    "latin_america_and_caribbean": ("caribbean", "central_america", "south_america"),
    "asia": ("central_asia", "eastern_asia", "south_eastern_asia", "southern_asia", "western_asia"),
    "europe": ("eastern_europe", "northern_europe", "southern_europe", "western_europe"),
    "oceania": ("australia_and_new_zealand", "melanesia", "micronesia", "polynesia"),
}
_EU = "AT BE BG CY CZ DE DK EE ES FI FR GR HR HU IE IT LT LU LV MT NL PL PT RO SE SI SK"  # since 2020
# The service regions of the five Internet registries, as the Number Resource Organization lists them.
_REGISTRIES = {
    "afrinic": (
        "AO BF BI BJ BW CD CF CG CI CM CV DJ DZ EG EH ER ET GA GH GM GN GQ GW KE KM LR LS LY MA MG ML MR MU MW MZ NA "
        "NE NG RE RW SC SD SL SN SO SS ST SZ TD TG TN TZ UG YT ZA ZM ZW"
    ),
    "apnic": (
        "AF AS AU BD BN BT CC CK CN CX FJ FM GU HK ID IN IO JP KH KI KP KR LA LK MH MM MN MO MP MV MY NC NF NP NR NU "
        "NZ PF PG PH PK PN PW SB SG TF TH TK TL TO TV TW VN VU WF WS"
    ),
    "arin": "AG AI AQ BB BL BM BS BV CA DM GD GP HM JM KN KY LC MF MQ MS PM PR SH TC UM US VC VG VI",
    "lacnic": "AR AW BO BQ BR BZ CL CO CR CU CW DO EC FK GF GS GT GY HN HT MX NI PA PE PY SR SV SX TT UY VE",
    "ripencc": (
        "AD AE AL AM AT AX AZ BA BE BG BH BY CH CY CZ DE DK EE ES FI FO FR GB GE GG GI GL GR HR HU IE IL IM IQ IR IS "
        "IT JE JO KG KW KZ LB LI LT LU LV MC MD ME MK MT NL NO OM PL PS PT QA RO RS RU SA SE SI SJ SK SM SY TJ TM TR "
        "UA UZ VA XK YE"
    ),
}


def _countries(region: str) -> tuple[str, ...]:
    of = _OF_SEVERAL.get(region)
    codes = _UN[region].split() if of is None else [code for part in of for code in _countries(part)]
    return tuple(sorted(codes))


REGIONS: dict[str, tuple[str, ...]] = {
    **{region: _countries(region) for region in sorted({*_UN, *_OF_SEVERAL})},
    "eu27": tuple(_EU.split()),
    **{registry: tuple(codes.split()) for registry, codes in _REGISTRIES.items()},
}
"""The countries of each region that RIPE Atlas knows: UN M49's, the European Union, and the registries' own."""
