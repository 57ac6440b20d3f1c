"""What this host reaches, on one screen: site, distance, cost, servers, and the way there."""

from __future__ import annotations

from collections.abc import Iterator

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from catchment.metrics import Numbers
from catchment.metrics.wording import many
from catchment.model import PLACED, Verdict
from catchment.terminal.cells import add_row, clip, harmless, table, target_title

_QUOTED = 60
_MOST_SITES = 6
_MOST_SERVERS = 4
_NETWORK = 28
_FEW_MS = 10
_SILENT = (Verdict.UNREACHABLE, Verdict.DNS_DEAD, Verdict.TIMEOUT)
_DIFFER = {
    "by-flow": "now this one, now that one: chosen by flow, as load balancers do",
    "over-time": "first one, then another: it changed while we looked",
    "unclear": "nobody can tell balancing by flow from a change here; look again, or ask with more --queries",
}


def show_here(found: Numbers) -> RenderableType:
    """Lay out what was measured from this host, target by target."""
    place = found["place"]
    at = "nobody said where (--place)" if place is None else f"at {clip(place['name'], _QUOTED)}"
    parts: list[RenderableType] = [
        Text(f"From {clip(found['vantage'], _QUOTED)}, {at}, {harmless(found['at'])}", style="bold")
    ]
    for target in found["targets"]:
        parts += ["", target_title(target), _facts(target, place)]
        if target["path"] is not None:
            parts += ["", *_path(target["path"])]
    light = found["constants"]
    parts += [
        "",
        Text(
            f"Light in fibre: {light['light_km_per_ms']} km per ms of RTT; an answer is impossible beyond "
            f"{light['impossible_km_per_ms']} km per ms + {light['impossible_slack_km']:g} km.",
            style="dim",
        ),
    ]
    if found["run"] is not None:
        parts.append(Text(f"Kept in {harmless(found['run'])}", style="dim"))
    return Group(*parts)


def _facts(target: Numbers, place: Numbers | None) -> Table:
    grid = Table.grid(padding=(0, 2))
    grid.add_column(no_wrap=True, style="dim")
    grid.add_column(overflow="fold")
    for name, told in (
        ("Reached", _reached(target)),
        ("Because", _because(target)),
        ("RTT", _times(target)),
        ("Distance", _distance(target, place)),
        ("Nearest", _nearest(target)),
        ("It costs", _cost(target)),
        ("Light", _light(target)),
        ("Servers", _servers(target)),
        ("Lost", _lost(target)),
    ):
        if told is not None:
            grid.add_row(name, told)
    return grid


def _reached(target: Numbers) -> Text:
    verdict, site = harmless(target["verdict"]), target["site"]
    if target["service"] is None and target["identity"] is not None:
        return Text(f"“{clip(target['identity'], _QUOTED)}”", style="bold")
    if site is None:
        return Text(verdict, style="bold yellow")
    server = "" if target["server"] is None else f", server {clip(target['server'], _QUOTED)}"
    said = Text(f"{_name(site)}{server}", style="bold green" if target["verdict"] in PLACED else "bold yellow")
    return said.append(f"  {verdict}, confidence {harmless(target['confidence'])}", style="dim")


def _because(target: Numbers) -> Text:
    identity = None if target["identity"] is None else f"“{clip(target['identity'], _QUOTED)}”"
    if target["service"] is None and identity is not None:
        return Text("no service that we know has this address, so nobody tells the site; its server says this name")
    if target["site"] is None or target["verdict"] not in PLACED:
        return Text(harmless(target["explanation"][1]))
    rule, meaning = target["site_rule"], target["site_rule_meaning"]
    if rule is None:
        rule, meaning = target["rule"], target["rule_meaning"]
    return Text(f"{'' if identity is None else identity + ': '}{harmless(meaning)} ({harmless(rule)})")


def _times(target: Numbers) -> Text | None:
    rtt = target["rtt_ms"]
    told = []
    if rtt["min"] is not None:
        told.append(f"queries {_ms(rtt['min'])} ms at least, {_ms(rtt['median'])} ms median")
    if rtt["ping_min"] is not None:
        told.append(f"pings {_ms(rtt['ping_min'])} ms at least")
    return Text("; ".join(told)) if told else None


def _distance(target: Numbers, place: Numbers | None) -> Text | None:
    site = target["site"]
    if place is None or site is None or site["distance_km"] is None:
        return None
    light = target["light"] or {"allows": None}
    judged = {True: "; light allows it", False: "; faster than light: something nearer answered", None: ""}
    return Text(f"{_km(site['distance_km'])} from {clip(place['name'], _QUOTED)}{judged[light['allows']]}")


def _nearest(target: Numbers) -> Text | None:
    nearest, site = target["nearest"], target["site"]
    if nearest is None:
        return None
    if target["is_nearest"]:
        return Text("it is the nearest site", style="green")
    nearer = ""
    if site is not None and site["distance_km"] is not None:
        nearer = f", {_km(site['distance_km'] - nearest['distance_km'])} nearer"
    return Text(f"{_name(nearest)}, at {_km(nearest['distance_km'])}{nearer}", style="yellow")


def _cost(target: Numbers) -> Text | None:
    geographic, latency = target["geographic_inflation_ms"], target["latency_inflation_ms"]
    if geographic is None:
        return None
    return Text(
        f"{_ms(geographic)} ms of fibre beyond the nearest site; the RTT is {_ms(latency)} ms above 1.5 times what "
        "fibre to the nearest takes"
    )


def _light(target: Numbers) -> Text | None:
    light = target["light"]
    if light is None:
        return None
    came = f"what took {_ms(light['rtt_ms'])} ms came from within {_km(light['reach_km'])}"
    count, codes = len(light["sites"]), ", ".join(clip(code, _QUOTED) for code in light["sites"][:_MOST_SITES])
    more = ", …" if count > _MOST_SITES else ""
    if light["around"] is None or light["of"] == 0:
        return Text(came)
    listed = f" ({codes}{more})" if count else ""
    if light["around"] == "here":
        return Text(f"{came}: {count} of {many(light['of'], 'site')}{listed}")
    others = sum(code != light["around"] for code in light["sites"])  # one that is closed is not among them
    nearer = f"of the other sites {others:,} may be nearer" if others else "no other site may be nearer"
    return Text(f"{came}, so this host is no farther from {clip(light['around'], _QUOTED)}; {nearer}")


def _servers(target: Numbers) -> Text | None:
    flows = target["flows"]
    if not flows["queries"]:
        return None
    answers = many(flows["answers"], "answer") if flows["answers"] else "no answer"
    asked = (
        f"{answers} to {many(flows['queries'], 'query', 'queries')} for "
        f"{clip(flows['query'], _QUOTED)} from {many(flows['ports'], 'source port')}"
    )
    sites, servers = flows["sites"], flows["servers"]
    if not servers:
        return Text(f"{asked}, none with an identity" if flows["answers"] else asked)
    told = Text(f"{asked}: ")
    if len(sites) > 1:
        told.append(f"{len(sites)} sites ({_counted(sites)}), {_DIFFER[flows['sites_differ']]}", style="bold yellow")
    elif len(servers) > 1:
        one = "one site, " if sites else ""
        told.append(f"{one}{len(servers)} servers ({_counted(servers)}), {_DIFFER[flows['servers_differ']]}")
    else:
        told.append("always the same server")
    return told


def _lost(target: Numbers) -> Text | None:
    """Say what was lost besides answers; where nothing but that happened, the reason has it already."""
    is_told = target["lost"] is None or target["verdict"] in _SILENT
    return None if is_told else Text(harmless(target["lost"]))


def _counted(counts: dict[str, int]) -> str:
    listed = [f"{clip(name, _QUOTED)} {count:,}" for name, count in list(counts.items())[:_MOST_SERVERS]]
    return ", ".join([*listed, *(["…"] if len(counts) > _MOST_SERVERS else [])])


def _path(path: Numbers) -> Iterator[RenderableType]:
    if not path["hops"]:
        yield Text("No router on the way answered.", style="dim")
        return
    rows = table(">Hop", "Address", ">RTT ms", "Name", "Network", "Place")
    was_silent = may_be_nearer = False
    for hop in path["hops"]:
        if hop["address"] is None:
            was_silent = True
            add_row(rows, str(hop["hop"]), Text("*", style="dim"), "", "", "", "")
            continue
        may_be_nearer = may_be_nearer or (was_silent and hop["error"] is not None)
        was_silent = False
        add_row(
            rows,
            str(hop["hop"]),
            clip(hop["address"], _QUOTED),
            _ms(hop["rtt_ms"]) if hop["error"] is None else f"{_ms(hop['rtt_ms'])} {clip(hop['error'], _QUOTED)}",
            clip(hop["name"] or "", _QUOTED),
            _network(hop),
            clip(hop["place"] or "", _QUOTED),
        )
    yield rows
    if may_be_nearer:
        yield Text(
            "Whoever refuses (!) after silent hops may be nearer: routers refuse only so many packets a second, and "
            "drop others without a word.",
            style="dim",
        )
    if not path["reached"]:
        yield Text(f"The target itself did not answer the traceroute ({harmless(path['protocol'])}).", style="dim")


def _network(hop: Numbers) -> str:
    name = hop["as_name"] or hop["exchange"]
    number = None if hop["asn"] is None else f"AS{hop['asn']}"
    return " ".join(filter(None, (number, None if name is None else clip(name, _NETWORK))))


def _name(site: Numbers) -> str:
    code = clip(site["site"], _QUOTED)
    return code if site["town"] is None else f"{clip(site['town'], _QUOTED)}, {harmless(site['country'])} ({code})"


def _ms(time_ms: float | None) -> str:
    """Return milliseconds as text: the kernel's stamps are good for hundredths, and what is near deserves them."""
    if time_ms is None:
        return "–"
    return f"{time_ms:.2f}" if abs(time_ms) < _FEW_MS else f"{time_ms:.1f}"


def _km(distance_km: float) -> str:
    return f"{distance_km:,.0f} km"
