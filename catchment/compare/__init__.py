"""Before and after: who moved where, what it did to their latency, who lost the service, and what merely flaps.

Only vantage points assigned on both sides are compared; the others are counted, with their verdicts as the reason.
`pairing` finds which targets belong together, `sides` keeps what is needed of each run; `moves` counts moves, `losses`
who reaches a site no more or anew, `captures` whom somebody else answers now or no more, `delays` whose answers take
longer, and `detours` whose packets take another way; `surplus` tells news from noise, and `wording` says it in a few
sentences.
"""

from catchment.compare.comparing import compare
from catchment.compare.detours import Record, Tracing
from catchment.compare.pairing import pair_targets, unpaired_targets
from catchment.compare.sides import keep_side

__all__ = ["Record", "Tracing", "compare", "keep_side", "pair_targets", "unpaired_targets"]
