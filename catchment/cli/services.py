"""Commands on what is known of services."""

from __future__ import annotations

from typing import Annotated

import typer

from catchment.cli.arguments import Json
from catchment.cli.printing import print_numbers

app = typer.Typer(help="The services that catchment knows: sites, addresses, identities.", no_args_is_help=True)


@app.command("list")
def list_services(*, as_json: Json = False) -> None:
    """List the bundled services.

    catchment services list --json
    """
    from catchment import workflow  # noqa: PLC0415

    print_numbers({"services": workflow.list_services()}, "show_services", as_json=as_json, part="services")


@app.command("show")
def show_service(
    service: Annotated[str, typer.Argument(metavar="S", help="A bundled service, or a TOML file.")],
    *,
    as_json: Json = False,
) -> None:
    """Show a service: its addresses, patterns, sources and sites.

    catchment services show k-root
    """
    from catchment import workflow  # noqa: PLC0415

    print_numbers(workflow.describe_service(service), "show_service", as_json=as_json)


@app.command("identify")
def identify(
    service: Annotated[str, typer.Argument(metavar="S", help="A bundled service, or a TOML file.")],
    identities: Annotated[list[str], typer.Argument(metavar="STRING…", help="What servers gave as their names.")],
    *,
    as_json: Json = False,
) -> None:
    """Say which site each identity names, and by which rule.

    catchment services identify k-root ns1.nl-ams.k.ripe.net
    """
    from catchment import workflow  # noqa: PLC0415

    print_numbers(workflow.identify_strings(service, identities), "show_identities", as_json=as_json)
