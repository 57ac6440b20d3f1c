"""Who else answered in the service's place, in words."""

from __future__ import annotations

from collections.abc import Iterator

from rich.text import Text

from catchment.metrics import Numbers
from catchment.metrics.wording import many
from catchment.terminal.cells import clip, harmless, percent, with_counts

_QUOTED = 60
_MOST_NETWORKS = 10
_MOST_IDENTITIES = 3
_MOST_FOREIGN = 5
_ALARM = "bold red"


def tell_interception(target: Numbers, *, with_networks: bool) -> Iterator[Text]:
    """Yield a line on those whom somebody else alone answered, one on those who were now and then, and who it was."""
    found, total = target["interception"], target["vantage_points"]["total"]
    alone, partly, faster = found["vantage_points"], found["partly"], found["faster_than_light"]["vantage_points"]
    if alone:
        who = many(total, "vantage point")
        rules = with_counts(found["by_rule"])
        yield Text(f"Somebody else answered {alone:,} of {who} ({percent(alone / total)}): {rules}.", style=_ALARM)
        yield from _networks(found) if with_networks else ()
    if partly["vantage_points"]:
        more = "more vantage point" if alone else "vantage point"
        count = partly["vantage_points"]
        yield Text(
            f"{many(count, more)} {'was' if count == 1 else 'were'} now and then answered by somebody else: "
            f"{_identities(partly['identities'])}.",
            style=_ALARM,
        )
        yield from _networks(partly) if with_networks else ()
    if faster:
        more = (
            " more" if alone or partly["vantage_points"] else f" {'vantage point' if faster == 1 else 'vantage points'}"
        )
        yield Text(
            f"{faster:,}{more} had answers faster than light: a box that replays answers, or a vantage point that is "
            "not where it says."
        )
    if with_networks and not (alone or partly["vantage_points"]):
        yield Text("Nobody else is known to have answered in the service's place.")
    foreign = target["foreign_identities"]
    if foreign and target["sites"]:  # where no site is known, all identities are listed
        listed = ", ".join(f"“{clip(one['text'], _QUOTED)}” {one['answers']:,}" for one in foreign[:_MOST_FOREIGN])
        rest = len(foreign) - _MOST_FOREIGN
        yield Text(f"Answers that are not the service's: {listed}{f', {rest} more' if rest > 0 else ''}.")


def _identities(identities: list[Numbers]) -> str:
    told = [
        f"{what_came(one)} {many(one['answers'], 'answer')}, first {harmless(one['first_at'])}"
        for one in identities[:_MOST_IDENTITIES]
    ]
    rest = len(identities) - _MOST_IDENTITIES
    return "; ".join([*told, *([f"{rest} more"] if rest > 0 else [])])


def what_came(other: Numbers) -> str:
    """Name what somebody else answered: a text, or an rcode where there was none."""
    if other["text"] is not None:
        return f"“{clip(other['text'], _QUOTED)}”"
    return "NOERROR without an identity" if other["rcode"] == "NOERROR" else clip(other["rcode"] or "no code", _QUOTED)


def _networks(found: Numbers) -> Iterator[Text]:
    countries = [_part(one, one["country"] or "unknown") for one in found["by_country"]]
    networks = [_part(one, "unknown" if one["asn"] is None else f"AS{one['asn']}") for one in found["by_asn"]]
    for name, parts in (("By country", countries), ("By AS", networks)):
        more = ", …" if len(parts) > _MOST_NETWORKS else ""
        yield Text(f"{name}: {', '.join(parts[:_MOST_NETWORKS])}{more}.")


def _part(one: Numbers, name: str) -> str:
    return f"{clip(name, _QUOTED)} {one['vantage_points']:,} of {one['of']:,}"
