"""Numbers about one catchment: who reaches which site, how fast and how surely, and where somebody else answers.

`catchments` counts sites, distances and groups, and `site_sets` those that may be nearest; `testimony` tells how far
the sites can be trusted, `changes` who did not stay at one, `interception` who got answers that the service did not
give, and `verdicts` lists vantage points one by one. `convergence` follows a change through a stream of answers
(`courses`: of one vantage point; `rises`: its round trips), and `paths` tells the ways of packets. `values` and
`wording` are what numbers and sentences are made of.
"""

from catchment.metrics.catchments import ASSIGNED_LIST, CONSTANTS, measure
from catchment.metrics.values import Numbers, iso_time, rounded, rows_of, share_of

__all__ = ["ASSIGNED_LIST", "CONSTANTS", "Numbers", "iso_time", "measure", "rounded", "rows_of", "share_of"]
