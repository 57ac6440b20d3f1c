"""The command that asks from this host: here."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

import typer

from catchment.cli.arguments import Json
from catchment.cli.printing import print_numbers, report, say, show_progress

app = typer.Typer()
_MOST_QUERIES = 64


@app.command()
def here(
    what: Annotated[str, typer.Argument(metavar="SERVICE|ADDRESS", help="A bundled service, a TOML file, an address.")],
    *,
    place: Annotated[
        str | None,
        typer.Option("--place", metavar="PLACE", help="Where this host is: 52.52,13.40, BER, or 'Berlin, DE'."),
    ] = None,
    name: Annotated[
        str | None,
        typer.Option("--name", metavar="NAME", help="What tables call this host, in place of its host name."),
    ] = None,
    geocode: Annotated[
        bool, typer.Option("--geocode", help="Look --place up online, at OpenStreetMap's Nominatim.")
    ] = False,
    only_v4: Annotated[bool, typer.Option("-4", help="Over IPv4 only.")] = False,
    only_v6: Annotated[bool, typer.Option("-6", help="Over IPv6 only.")] = False,
    rate: Annotated[
        float, typer.Option("--rate", metavar="N", help="Packets a second, at most 100; names are looked up besides.")
    ] = 10.0,
    queries: Annotated[
        int, typer.Option("--queries", min=1, max=_MOST_QUERIES, help="Identity queries, each from its own port.")
    ] = 8,
    no_names: Annotated[
        bool, typer.Option("--no-names", help="Ask the DNS nothing about the routers on the way.")
    ] = False,
    out: Annotated[Path | None, typer.Option("--out", metavar="RUN", help="Keep it as a run in this folder.")] = None,
    as_json: Json = False,
) -> None:
    """Ask from this host: which site do I reach, is it the nearest, and what lies on the way?

    Sends pings, identity queries and traceroutes, politely. Without --place no distances are told.

        catchment here k-root --place 'Berlin, DE'
        catchment here 9.9.9.9 -4 --json
    """
    from catchment import workflow  # noqa: PLC0415

    _check(place, rate, geocode=geocode, both=only_v4 and only_v6)
    with show_progress() as progress:
        found = workflow.look_from_here(
            what, environ=os.environ, name=name, place=place, is_online=geocode,
            af=4 if only_v4 else 6 if only_v6 else None, rate_per_s=rate, flows=queries, with_names=not no_names,
            out=out, progress=progress, say=say,
        )  # fmt: skip
    report(tuple(found["remarks"]))
    print_numbers(found, "show_here", as_json=as_json)


def _check(place: str | None, rate: float, *, geocode: bool, both: bool) -> None:
    """Raise BadParameter where options contradict each other, or the rate is none."""
    from catchment.campaign.own_checks import LEAST_PER_S, MOST_PER_S  # noqa: PLC0415

    if both:
        raise typer.BadParameter("-4 and -6 leave nothing: leave out one of them, or both for both")
    if geocode and place is None:
        raise typer.BadParameter("--geocode looks up what --place says: give it as well")
    if not LEAST_PER_S <= rate <= MOST_PER_S:
        raise typer.BadParameter(f"--rate is at least {LEAST_PER_S:g} and at most {MOST_PER_S:g} packets a second")
