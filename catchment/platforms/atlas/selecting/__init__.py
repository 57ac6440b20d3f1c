"""Which probes: chosen here before anything is posted, by a seed, so that all measurements ask the same ones.

`choosing` does it all: `listing` reads them from the API, `sources` says which may be asked, `drawing` draws some.
"""

from catchment.platforms.atlas.selecting.choosing import Choice, asked, choose, pick, whom_not_asked
from catchment.platforms.atlas.selecting.listing import Progress, describe
from catchment.platforms.atlas.selecting.probes import WORKS, Probe, works
from catchment.platforms.atlas.selecting.sources import is_named

__all__ = [
    "WORKS",
    "Choice",
    "Probe",
    "Progress",
    "asked",
    "choose",
    "describe",
    "is_named",
    "pick",
    "whom_not_asked",
    "works",
]
