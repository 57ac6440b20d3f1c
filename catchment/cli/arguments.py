"""The arguments that several commands share."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer


class Family(StrEnum):
    """An address family."""

    V4 = "4"
    V6 = "6"


RUN_HELP = (
    "A run: path, campaign, campaign~1, campaign@run; a window of it: RUN[2026-11-21T19:00Z..20:00Z], RUN\\[before]."
)
RunName = Annotated[str, typer.Argument(metavar="RUN", help=RUN_HELP)]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON object and nothing else.")]
Root = Annotated[
    Path | None,
    typer.Option("--results", metavar="DIR", help="Folder of stored runs [CATCHMENT_RESULTS or ./results]."),
]
Key = Annotated[
    str | None,
    typer.Option(
        "--key",
        metavar="KEY",
        help="Key of RIPE Atlas. Better set ATLAS_CREATE_KEY: what you type stands in the shell's history.",
    ),
]
NewRun = Annotated[
    Path | None,
    typer.Option("--out", metavar="RUN", help="Folder of the new run; results/CAMPAIGN/TIME if not given."),
]
Verbose = Annotated[bool, typer.Option("--verbose", help="Tell each request to RIPE Atlas, and each wait, on stderr.")]
OnlyFamily = Annotated[Family | None, typer.Option("--af", help="Only this address family.")]
OnlyTarget = Annotated[str | None, typer.Option("--target", metavar="T", help="Only this address or service.")]
ServiceName = Annotated[str | None, typer.Option("--service", metavar="S", help="A bundled service, or a TOML file.")]
From = Annotated[str | None, typer.Option("--from", metavar="TIME", help="Only what was measured from this time on.")]
To = Annotated[str | None, typer.Option("--to", metavar="TIME", help="Only what was measured before this time.")]
