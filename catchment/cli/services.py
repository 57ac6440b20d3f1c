"""Commands on what is known of services."""

from __future__ import annotations

import datetime
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from catchment.cli.arguments import Json
from catchment.cli.printing import print_numbers

app = typer.Typer(help="The services that catchment knows: sites, addresses, identities.", no_args_is_help=True)
Name = Annotated[str, typer.Argument(metavar="S", help="A service that `services list` names, or a TOML file.")]


@app.command("list")
def list_services(*, as_json: Json = False) -> None:
    """List the services that have a name: bundled ones, and your own versions.

    catchment services list --json
    """
    from catchment import workflow  # noqa: PLC0415

    services = workflow.list_services(_now().date())
    print_numbers({"services": services}, "show_services", as_json=as_json, part="services")


@app.command("show")
def show_service(service: Name, *, as_json: Json = False) -> None:
    """Show a service: its addresses, patterns, corrections, sources and sites.

    catchment services show k-root
    """
    from catchment import workflow  # noqa: PLC0415

    print_numbers(workflow.describe_service(service), "show_service", as_json=as_json)


@app.command("identify")
def identify(
    service: Name,
    identities: Annotated[
        list[str], typer.Argument(metavar="STRING…", help="What servers gave as their names; - reads them from stdin.")
    ],
    *,
    as_json: Json = False,
) -> None:
    """Say which site each identity names, and by which rule.

    catchment services identify k-root ns1.nl-ams.k.ripe.net
    dig +short CH TXT hostname.bind @193.0.14.129 | tr -d '"' | catchment services identify k-root -
    """
    from catchment import workflow  # noqa: PLC0415

    print_numbers(workflow.identify_strings(service, _strings(identities)), "show_identities", as_json=as_json)


@app.command("update")
def update(
    service: Annotated[str, typer.Argument(metavar="S", help="A letter of the DNS root: a-root … m-root.")],
    *,
    out: Annotated[
        Path | None, typer.Option("-o", "--output", metavar="FILE", help="Only write this TOML file.")
    ] = None,
    bundled: Annotated[bool, typer.Option("--bundled", help="Go back: remove your own version.")] = False,
    server: Annotated[
        str | None,
        typer.Option("--server", envvar="CATCHMENT_ROOT_SERVERS", help="Instead of https://root-servers.org."),
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Even if more than half of the sites are closed.")] = False,
    as_json: Json = False,
) -> None:
    """Fetch the list of sites that an operator publishes, and make it your own version of the service.

    catchment services update k-root
    catchment services update k-root -o k-root.toml
    catchment services update k-root --bundled

    From then on the name S finds your version. It lies in CATCHMENT_SERVICES (a folder; a relative one is
    taken from where you are), or else in ~/.local/share/catchment/services (XDG_DATA_HOME), as S.toml; it is
    written anew at each update. Codes of sites stay. A correction of an error that the list has no more is dropped.
    """
    from catchment import workflow  # noqa: PLC0415

    if bundled and out is not None:
        raise typer.BadParameter("--bundled goes back to the bundled version: it writes no -o FILE")
    if bundled:
        print_numbers(workflow.restore_bundled(service), "show_restored", as_json=as_json)
        return
    update = workflow.update_service(service, now=_now(), out=out, server=server, force=force)
    print_numbers(update, "show_update", as_json=as_json)


def _now() -> datetime.datetime:
    return datetime.datetime.now(datetime.UTC)


def _strings(given: Sequence[str]) -> list[str]:
    r"""Return the strings, and for each `-` the lines of stdin; bytes that are no UTF-8 as \xNN, as in observations."""
    strings: list[str] = []
    for text in given:
        if text == "-":
            lines = (line.rstrip(b"\r\n") for line in sys.stdin.buffer)
            strings += [line.decode(errors="backslashreplace") for line in lines if line]
        else:
            strings.append(text)
    return strings
