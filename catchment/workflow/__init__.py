"""The verbs that the command line and the Python API share: plan, run, resume, import, derive, show, compare, map.

What measures is imported when it is first asked for: the platforms bring many modules, which reading stored runs need
not pay for.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from catchment.workflow.describing import describe_service, identify_strings, list_services
from catchment.workflow.drawing import draw_map
from catchment.workflow.importing import Imported, derive, import_results
from catchment.workflow.showing import compare_runs, list_runs, show

if TYPE_CHECKING:
    from catchment.workflow.demonstrating import demo_steps
    from catchment.workflow.explaining import explain_vantage
    from catchment.workflow.managing import check_stopped, read_account, stop_run
    from catchment.workflow.measuring import resume_run, run_campaign
    from catchment.workflow.naming_hops import derive_with_names
    from catchment.workflow.planning import check_plan, plan_campaign
    from catchment.workflow.simulating import list_faults, save_topology, serve_sandbox
    from catchment.workflow.standing import show_unfinished, what_next
    from catchment.workflow.updating import restore_bundled, update_service

__all__ = [
    "Imported",
    "check_plan",
    "check_stopped",
    "compare_runs",
    "demo_steps",
    "derive",
    "derive_with_names",
    "describe_service",
    "draw_map",
    "explain_vantage",
    "identify_strings",
    "import_results",
    "list_faults",
    "list_runs",
    "list_services",
    "plan_campaign",
    "read_account",
    "restore_bundled",
    "resume_run",
    "run_campaign",
    "save_topology",
    "serve_sandbox",
    "show",
    "show_unfinished",
    "stop_run",
    "update_service",
    "what_next",
]

_LATER = {
    "check_plan": "planning",
    "check_stopped": "managing",
    "demo_steps": "demonstrating",
    "explain_vantage": "explaining",
    "derive_with_names": "naming_hops",
    "list_faults": "simulating",
    "plan_campaign": "planning",
    "read_account": "managing",
    "restore_bundled": "updating",
    "resume_run": "measuring",
    "run_campaign": "measuring",
    "save_topology": "simulating",
    "serve_sandbox": "simulating",
    "show_unfinished": "standing",
    "stop_run": "managing",
    "update_service": "updating",
    "what_next": "standing",
}


def __getattr__(name: str) -> Any:
    if name not in _LATER:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_LATER[name]}"), name)
