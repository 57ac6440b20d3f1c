"""Commands on labs: real routers, real name servers and real packets in network namespaces of this host."""

from __future__ import annotations

import os
import shutil
from collections.abc import Sequence
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from catchment.cli.arguments import Json, NewRun, Root
from catchment.cli.printing import complain, print_numbers, report, say, show_progress

app = typer.Typer(
    help="A real anycast Internet in namespaces of this host: BIRD routes, NSD answers, real packets travel.",
    no_args_is_help=True,
)
Name = Annotated[str | None, typer.Argument(metavar="NAME", help="Of the lab; may be left out where one is up.")]
NameOption = Annotated[
    str | None, typer.Option("--name", metavar="NAME", help="Of the lab; may be left out where one is up.")
]


class Happening(StrEnum):
    """What may be done to a lab."""

    WITHDRAW = "withdraw"
    ANNOUNCE = "announce"
    PREPEND = "prepend"
    HIJACK = "hijack"
    LEAK = "leak"
    FAIL = "fail"
    RECOVER = "recover"
    RESET = "reset"


_OF_NETWORKS = {Happening.HIJACK, Happening.LEAK}
_OPTIONS = {
    Happening.HIJACK: {"--asn", "--more-specific", "--service"},
    Happening.LEAK: {"--asn", "--service"},
    Happening.PREPEND: {"--site", "--prepend", "--service"},
    Happening.RESET: set(),
}
_OF_SITES = {"--site", "--service"}
_PREPEND = 3
_NOT_EXECUTABLE, _NOT_FOUND = 126, 127


@app.command()
def run(
    campaign: Annotated[Path, typer.Argument(metavar="CAMPAIGN", help="One of campaigns/lab/, or yours.")],
    *,
    out: NewRun = None,
    results: Root = None,
    as_json: Json = False,
) -> None:
    """Run a story: measure in a lab before a change, amid it and after it, and tell what happened.

    Raises a lab for it, unless one of the same topology is up and unchanged. Needs bird and nsd (apt-get install bird2
    nsd), no root where your kernel lets you have namespaces. The run is stored like any other.

        catchment lab run campaigns/lab/two-paths.toml
        catchment lab run campaigns/lab/fire-withdrawn.toml --json
    """
    from catchment import store, workflow  # noqa: PLC0415

    with show_progress() as progress:
        story = workflow.run_story(
            campaign, store.results_root(results), out, environ=os.environ, progress=progress, say=say
        )
    report(tuple(story["warnings"]))
    print_numbers(story, "show_story", as_json=as_json)


@app.command()
def story(
    run: Annotated[str, typer.Argument(metavar="RUN", help="A run of a lab: a folder, or CAMPAIGN, its latest.")],
    *,
    results: Root = None,
    as_json: Json = False,
) -> None:
    """Tell the story of a stored run again.

    catchment lab story two-paths
    catchment lab story results/leak/2026-01-01T120000Z --json
    """
    from catchment import store, workflow  # noqa: PLC0415

    told = workflow.tell_story(store.find_folder(run, store.results_root(results)))
    report(tuple(told["warnings"]))
    print_numbers(told, "show_story", as_json=as_json)


@app.command()
def up(
    file: Annotated[
        Path, typer.Argument(metavar="TOPOLOGY|CAMPAIGN", help="A topology, or a campaign that names one.")
    ],
    *,
    name: Annotated[str | None, typer.Option("--name", metavar="NAME", help="Its name; else the topology's.")] = None,
    for_s: Annotated[float | None, typer.Option("--for", metavar="S", min=1, help="End it after so long.")] = None,
    idle_s: Annotated[float, typer.Option("--idle", metavar="S", min=1, help="End it when unused for so long.")] = 600,
    as_json: Json = False,
) -> None:
    """Raise a lab that stays up: for trying changes, and for runs of campaigns with its topology.

    It ends by `catchment lab down`, after --for, or when nobody has used it for --idle seconds.

        catchment lab up campaigns/lab/topologies/hijack.toml
        catchment lab up campaigns/lab/leak.toml --name leaky --for 3600
    """
    from catchment import workflow  # noqa: PLC0415

    print_numbers(workflow.raise_lab(file, name, for_s=for_s, idle_s=idle_s), "show_lab", as_json=as_json)


@app.command()
def status(lab: Name = None, *, name: NameOption = None, as_json: Json = False) -> None:
    """Show the sites of a lab, and where the packets of its vantage points go now, by BIRD's own routes.

    Without a name, and with several labs up: list them.

        catchment lab status
        catchment lab status hijack --json
    """
    from catchment import workflow  # noqa: PLC0415

    name = _name_of(lab, name)
    standing = workflow.list_labs()
    if name is None and len(standing["labs"]) > 1:
        print_numbers(standing, "show_labs", as_json=as_json)
        return
    print_numbers(workflow.look_at_lab(name), "show_lab", as_json=as_json)


def _name_of(lab: str | None, name: str | None) -> str | None:
    """Return the name of a lab that is given as an argument or by --name. Raises BadParameter where it is by both."""
    if lab is not None and name is not None:
        raise typer.BadParameter(f"'{lab}' and --name {name} both name a lab: leave one out")
    return name if lab is None else lab


@app.command()
def change(
    what: Annotated[Happening, typer.Argument(metavar="CHANGE", help="What is to happen.")],
    *,
    site: Annotated[str | None, typer.Option("--site", metavar="CODE", help="Of which site.")] = None,
    asn: Annotated[int | None, typer.Option("--asn", metavar="N", help="Which network hijacks or leaks.")] = None,
    prepend: Annotated[
        int | None, typer.Option("--prepend", min=0, max=20, help="How often the site repeats its AS; 3 if not given.")
    ] = None,
    more_specific: Annotated[
        bool, typer.Option("--more-specific", help="Hijack by a longer prefix: it catches everybody.")
    ] = False,
    service: Annotated[str | None, typer.Option("--service", metavar="S", help="Of which service.")] = None,
    name: NameOption = None,
    stream_s: Annotated[
        float | None,
        typer.Option("--stream", metavar="S", min=1, max=600, help="Send queries amid it, for so long after it."),
    ] = None,
    as_json: Json = False,
) -> None:
    """Change the routes or servers of a lab, and say whose packets go elsewhere. Changes add up; `reset` undoes all.

    With --stream every vantage point sends 50 queries a second: how long it took, what was lost, who answered.

        catchment lab change withdraw --site fra --stream 3
        catchment lab change prepend --site jfk --prepend 2
        catchment lab change hijack --asn 64510 --more-specific
        catchment lab change reset
    """
    from catchment import workflow  # noqa: PLC0415
    from catchment.campaign import Change, ChangeName  # noqa: PLC0415

    given = {"--site": site, "--asn": asn, "--prepend": prepend, "--more-specific": more_specific or None}
    for option, value in (given | {"--service": service}).items():
        if value is not None and option not in _OPTIONS.get(what, _OF_SITES):
            raise typer.BadParameter(f"{what} has no use for {option}: leave it out")
    made = None
    if what is not Happening.RESET:
        if what in _OF_NETWORKS and asn is None:
            raise typer.BadParameter(f"{what} needs --asn: which network does it?")
        if what not in _OF_NETWORKS and site is None:
            raise typer.BadParameter(f"{what} needs --site: at which site?")
        made = Change(
            change=ChangeName(what),
            site=site,
            asn=asn,
            prepend=_PREPEND if prepend is None else prepend,
            more_specific=more_specific,
            service=service,
        )
    with show_progress() as progress:
        changed = workflow.change_lab(name, made, stream_s=stream_s, progress=progress)
    report(tuple(changed["warnings"]))
    print_numbers(changed, "show_lab_change", as_json=as_json)


@app.command("exec", context_settings={"allow_interspersed_args": False})
def enter(
    node: Annotated[str, typer.Argument(metavar="NODE", help="A namespace: vp1 is vantage point 1, as64501 a router.")],
    command: Annotated[list[str], typer.Argument(metavar="COMMAND…", help="What to run there.")],
    *,
    name: NameOption = None,
) -> None:
    """Run a command inside a lab: ping, traceroute, a shell, or catchment itself.

    catchment lab exec vp1 catchment here 192.0.2.53
    catchment lab exec vp1 traceroute -n 192.0.2.53
    catchment lab exec as64501 bash
    """
    from catchment import workflow  # noqa: PLC0415

    _check_place_of_name(name, command)
    command = command[1:] if command[0] == "--" else command
    if not command:
        raise typer.BadParameter("after `--` comes what to run")
    words = workflow.command_within(name, node, command)
    if shutil.which(command[0]) is None:
        raise typer.Exit(_say_what_lacks(command[0]))
    os.execvp(words[0], words)  # noqa: S606  (the user's own command, without a shell)


def _check_place_of_name(name: str | None, words: Sequence[str]) -> None:
    """Raise BadParameter where the lab's name comes after the node, among words that are not ours."""
    from catchment import workflow  # noqa: PLC0415

    options = [word for word in words if word.partition("=")[0] == "--name"]
    if name is None and options and (words[0] in options or len(workflow.list_labs()["labs"]) > 1):
        raise typer.BadParameter("`--name LAB` comes before the node")


def _say_what_lacks(program: str) -> int:
    """Say why a program cannot be run; return the exit code that shells have for it."""
    if shutil.which(program, mode=os.F_OK) is not None:
        complain(f"'{program}' may not be executed: make it executable (chmod +x), or name the program that reads it")
        return _NOT_EXECUTABLE
    complain(f"there is no program '{program}' on this host: install it, or give its path")
    return _NOT_FOUND


@app.command(context_settings={"allow_interspersed_args": False})
def bird(
    node: Annotated[str, typer.Argument(metavar="NODE", help="A router: as64501, or that of a site.")],
    command: Annotated[list[str], typer.Argument(metavar="COMMAND…", help="What to ask its BIRD.")],
    *,
    name: NameOption = None,
) -> None:
    """Ask the BIRD of a router in a lab.

    catchment lab bird as64501 show route for 192.0.2.53 all
    catchment lab bird as64501 show protocols
    """
    from catchment import workflow  # noqa: PLC0415
    from catchment.terminal import harmless  # noqa: PLC0415

    _check_place_of_name(name, command)
    for line in workflow.ask_bird(name, node, " ".join(command)).splitlines():
        typer.echo(harmless(line.expandtabs()))


@app.command()
def down(lab: Name = None, *, name: NameOption = None, as_json: Json = False) -> None:
    """End a lab. Nothing of it is left behind.

    catchment lab down
    catchment lab down hijack
    """
    from catchment import workflow  # noqa: PLC0415

    print_numbers(workflow.end_lab(_name_of(lab, name)), "show_ended_lab", as_json=as_json)
