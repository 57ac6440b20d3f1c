"""The files of a run: the only package that knows them.

    results/<campaign>/<run>/
      campaign.json       what was measured: services, targets, the plan, resolved and frozen
      measurements.json   of a run measured here: what the platform accepted, written before waiting; of several runs
                          merged into one: all of theirs
      sandbox.ndjson      of a run on the sandbox: what it accepted, so that it can go on
      topology.toml       of one on a topology file: a copy of it; of labs merged: the copy of the latest
      raw/                tier 0, byte for byte as it came
      hop_names.ndjson    names of the last routers before the targets, as the reverse DNS gave them: an object a line
                          with address, name (null: it has none) and resolved_at; tier 0 too, so only ever added to
      truth.ndjson        of a sandbox: what its Internet really did
      rejected.ndjson     records that nobody could read, named
      vantage_points/  observations/  assignments/  evidence/     Parquet parts
      metrics.json        written last: a run that has it is complete

An import is built in a hidden folder beside its place and renamed when it is whole. A run that is measured has its
place from the start.
"""

from catchment.store.headers import AND, HEADER, Header, read_header, sync, write_header
from catchment.store.hop_names import HopNames, load_hop_names, read_hop_names, unite_hop_names, write_hop_names
from catchment.store.measurements import Accepted, Measurement, Stage, read_accepted, result_files, write_accepted
from catchment.store.names import (
    find_begun,
    find_folder,
    find_run,
    find_unfinished,
    parse_time,
    results_root,
    sides_of,
    split_window,
    stored_campaigns,
    stored_runs,
    unfinished_runs,
    window_between,
)
from catchment.store.raw import ResultWriter, read_results
from catchment.store.runs import (
    ASSIGNMENTS,
    EVIDENCE,
    OBSERVATIONS,
    VANTAGE_POINTS,
    Run,
    begin_run,
    check_collected,
    check_kept,
    discard_run,
    is_collected,
    is_complete,
    journal_file,
    locked,
    make_durable,
    may_cost,
    new_run,
    new_tiers,
    part_of,
    raw_folder,
    topology_file,
    truth_file,
    ways_on,
    write_metrics,
    write_rejected,
)

__all__ = [
    "AND",
    "ASSIGNMENTS",
    "EVIDENCE",
    "HEADER",
    "OBSERVATIONS",
    "VANTAGE_POINTS",
    "Accepted",
    "Header",
    "HopNames",
    "Measurement",
    "ResultWriter",
    "Run",
    "Stage",
    "begin_run",
    "check_collected",
    "check_kept",
    "discard_run",
    "find_begun",
    "find_folder",
    "find_run",
    "find_unfinished",
    "is_collected",
    "is_complete",
    "journal_file",
    "load_hop_names",
    "locked",
    "make_durable",
    "may_cost",
    "new_run",
    "new_tiers",
    "parse_time",
    "part_of",
    "raw_folder",
    "read_accepted",
    "read_header",
    "read_hop_names",
    "read_results",
    "result_files",
    "results_root",
    "sides_of",
    "split_window",
    "stored_campaigns",
    "stored_runs",
    "sync",
    "topology_file",
    "truth_file",
    "unfinished_runs",
    "unite_hop_names",
    "ways_on",
    "window_between",
    "write_accepted",
    "write_header",
    "write_hop_names",
    "write_metrics",
    "write_rejected",
]
