"""The verbs that the command line and the Python API share: import, derive, show, compare, map."""

from catchment.workflow.describing import describe_service, identify_strings, list_services
from catchment.workflow.drawing import draw_map
from catchment.workflow.importing import Imported, derive, import_results
from catchment.workflow.showing import compare_runs, list_runs, show

__all__ = [
    "Imported",
    "compare_runs",
    "derive",
    "describe_service",
    "draw_map",
    "identify_strings",
    "import_results",
    "list_runs",
    "list_services",
    "show",
]
