"""What changes in a lab are called in a sentence, and what networks and places are called there."""

from __future__ import annotations

from catchment.campaign import Change, ChangeName
from catchment.campaign.own_vantages import lab_name
from catchment.platforms.topology import Topology

_WORDS = {
    ChangeName.WITHDRAW: "{site} withdraws its route",
    ChangeName.ANNOUNCE: "{site} announces its route",
    ChangeName.PREPEND: "{site} names its own AS {prepend} times more in its paths",
    ChangeName.NEW_SITE: "{site} is built",
    ChangeName.FAIL: "the servers in {site} die, and their route stays",
    ChangeName.RECOVER: "the servers in {site} are back",
    ChangeName.HIJACK: "{network} announces {prefix} as its own",
    ChangeName.LEAK: "{network} tells its providers and peers what it heard from others of them",
}


def in_words(change: Change, topology: Topology) -> str:
    """Say what a change is, without a full stop."""
    places = {site.code: site.place for service in topology.services for site in service.sites}
    towns = {place.code: place.town for place in topology.places}
    names = {network.asn: network.name for network in topology.networks}
    code = "" if change.site is None else change.site.lower()
    return _WORDS[change.change].format(
        site=f"{towns[places[code]]} ({code})" if code in places else code,
        network=f"AS {change.asn} ({names[change.asn]})" if change.asn in names else f"AS {change.asn}",
        prefix="a part of the service's prefix" if change.more_specific else "the service's very prefix",
        prepend=change.prepend,
    )


def names_of(topology: Topology) -> dict[str, str]:
    """Return what the networks and the services of a topology are called, by their AS numbers."""
    known = {service.asn: f"{service.name} (the service)" for service in topology.services}
    known |= {network.asn: network.name for network in topology.networks}
    return {str(asn): known[asn] for asn in sorted(known)}


def towns_of(topology: Topology) -> dict[str, str]:
    """Return the towns of the vantage points, by what tables call these."""
    towns = {place.code: place.town for place in topology.places}
    return {lab_name(vantage.id): towns[vantage.place] for vantage in topology.vantage_points}
