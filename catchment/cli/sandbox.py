"""Commands on the simulated Internet by itself: serve its API, write its topology."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Annotated

import typer

from catchment.cli.arguments import Json
from catchment.cli.printing import print_numbers

app = typer.Typer(help="A simulated Internet behind the API of RIPE Atlas, on this host.", no_args_is_help=True)
CampaignFile = Annotated[
    Path | None,
    typer.Argument(metavar="CAMPAIGN", help=r"Takes its \[sandbox] and its services; without: all bundled services."),
]


@app.command()
def serve(
    campaign: CampaignFile = None,
    *,
    port: Annotated[int, typer.Option("--port", min=0, max=65535, help="0 takes any that is free.")] = 8443,
    speed: Annotated[
        float, typer.Option("--speed", min=1, max=100_000, help="Seconds of its time in one of ours.")
    ] = 60.0,
    folder: Annotated[Path, typer.Option("--folder", metavar="DIR", help="For its certificate and key.")] = Path(
        "sandbox"
    ),
    fault: Annotated[
        list[str] | None,
        typer.Option("--fault", metavar="NAME", help="What is to go wrong; may be given several times."),
    ] = None,
    fault_seed: Annotated[int, typer.Option("--fault-seed", help="Another seed, other requests and results.")] = 1,
    list_faults: Annotated[
        bool, typer.Option("--list-faults", help="Say what can go wrong, and serve nothing.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Serve the API of RIPE Atlas on loopback, over TLS, until interrupted. Prints how to point clients at it.

    catchment sandbox serve --speed 600 --fault lost-answer --fault late-listing
    """
    from catchment import workflow  # noqa: PLC0415

    if list_faults:
        print_numbers(workflow.list_faults(), "show_faults", as_json=as_json)
        return
    with workflow.serve_sandbox(
        campaign, folder, port=port, speed=speed, environ=os.environ, faults=fault or (), fault_seed=fault_seed
    ) as served:
        print_numbers(served, "show_served", as_json=as_json)
        while True:
            time.sleep(3600)


@app.command()
def topology(
    campaign: CampaignFile = None,
    *,
    out: Annotated[Path, typer.Option("-o", "--output", metavar="FILE.toml", help="Where to write it.")],
    as_json: Json = False,
) -> None:
    """Write the simulated Internet as a file that you can read, change, and name in a campaign.

    catchment sandbox topology campaigns/sandbox.toml -o world.toml
    """
    from catchment import workflow  # noqa: PLC0415

    print_numbers(workflow.save_topology(campaign, out), "show_files", as_json=as_json)
