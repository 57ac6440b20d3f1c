"""One vantage point explained: which site it reached at each target, and why we say so.

`gathering` collects all that a run holds of it, `cases` is that for one target; `verdicts`, `circumstances` and
`testimony` turn it into sentences, `wording` into words.
"""

from catchment.workflow.explaining.gathering import explain_vantage

__all__ = ["explain_vantage"]
