"""Raw results to observations: facts, no judgement. Everything here can be derived again from the files in raw/.

`reading` tells what a file is and names its bad records, `staging` turns JSON into typed columns, `message` decodes
each distinct DNS reply once, and `observations` joins them into the tier.
"""

from catchment.observe.observations import Reading, observe
from catchment.observe.reading import Rejected, ResultFile, sniff

__all__ = ["Reading", "Rejected", "ResultFile", "observe", "sniff"]
