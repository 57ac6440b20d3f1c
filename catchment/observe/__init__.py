"""Raw results to observations: facts, no judgement. Everything here can be derived again from the files in raw/.

`reading` tells what a file is and names its bad records, `staging` turns JSON into typed columns, `message` decodes a
DNS reply, `dictionaries` does so once for each distinct one, and `observations` joins them into the tier.
`traceroutes` reads a raw traceroute hop by hop, which the tables do not hold.
"""

from catchment.observe.observations import Reading, observe, write_nothing
from catchment.observe.reading import Rejected, ResultFile, is_blank, sniff

__all__ = ["Reading", "Rejected", "ResultFile", "is_blank", "observe", "sniff", "write_nothing"]
