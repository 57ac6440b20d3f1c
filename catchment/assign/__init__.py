"""Observations to sites: judgements, each with the id of the rule that gave it.

`rules` lists the rules. `identity` turns one identity string into a site, `outcomes` counts what answers come to,
`hop_names` reads places in names of routers, `evidence` gathers what else speaks for a site, `distances` tells how far
sites are, `feasible` which of them light allows, and `assignments` judges every vantage point, target and window.
"""

from catchment.assign.assignments import assign
from catchment.assign.identity import Identified, identify
from catchment.assign.outcomes import Asked
from catchment.assign.rules import RULES

__all__ = ["RULES", "Asked", "Identified", "assign", "identify"]
