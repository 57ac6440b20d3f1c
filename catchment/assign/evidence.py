"""What else says which site answered: the last router before the target, and the time that light takes.

So that a target that gives no identity, or none of whose answers names a site, can be assigned. All that was said is
kept in the table `evidence`; a witness whose site light rules out has no vote, and witnesses that disagree are listed,
never averaged. Reads `inside`, `targets`, `identities`, `feasible`, `contradictions` and `places_in_doubt`.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Mapping, Sequence

import duckdb

from catchment.assign.distances import measure_distances
from catchment.assign.hop_names import sites_in_name
from catchment.engine import fill_table
from catchment.geo import arc_km, reach_sql
from catchment.model import Service, Site, Witness
from catchment.places import town_key
from catchment.places.exchanges import exchange_at
from catchment.schemas import EVIDENCE, selected

# A router that is farther from the target than this stands in another town: light goes 200 km there and back.
_NEXT_DOOR_MS = 2.0
# The town of an exchange and that of a site next to it may bear two names.
_SAME_PLACE_KM = 60.0

NEXT_DOOR = f"kind = 'traceroute' AND hop_gap = 0 AND abs(rtt_ms - hop_rtt_ms) <= {_NEXT_DOOR_MS}"
"""Which observations have a last router that may tell the target's town, as SQL has it. One that answers later than the
target may stand anywhere on the way: routers answer slowly."""

_LAST_ROUTERS = f"""
    SELECT vantage, service, target, window_start, hop, rtt_ms, coalesce({NEXT_DOOR}, FALSE) AS next_door
    FROM inside SEMI JOIN targets USING (service, target) WHERE kind = 'traceroute' AND failure IS NULL"""

# What the same reply said in second place, where it names a site as well. Reads `identities`.
_SECOND = f"""
    SELECT o.vantage, o.service, o.target, o.window_start, '{Witness.SECOND_IDENTITY}' AS witness, i.site,
        o.second_identity AS said, count(*) AS observations, min(o.rtt_ms) AS rtt_ms
    FROM (SELECT * FROM inside SEMI JOIN targets USING (service, target) WHERE second_identity IS NOT NULL) AS o
    JOIN identities AS i ON i.service = o.service AND i.identity = o.second_identity
        AND i.identity_source = o.second_identity_source
    WHERE i.site IS NOT NULL
    GROUP BY o.vantage, o.service, o.target, o.window_start, i.site, o.second_identity"""

_OF_ROUTERS = """
    SELECT r.vantage, r.service, r.target, r.window_start, h.witness, h.site, h.said, count(*) AS observations,
        min(r.rtt_ms) AS rtt_ms
    FROM last_routers AS r JOIN hop_sites AS h ON h.service = r.service AND h.hop = r.hop
    WHERE r.next_door
    GROUP BY r.vantage, r.service, r.target, r.window_start, h.witness, h.site, h.said"""

# Light says nothing of a vantage point that is not where it says, nor of answers that were somebody else's.
_OF_LIGHT = f"""
    SELECT vantage, service, target, window_start, '{Witness.LIGHT}' AS witness, feasible_site AS site,
        printf('%.3f ms', least_ms) AS said, 1 AS observations, least_ms AS rtt_ms
    FROM feasible
    ANTI JOIN places_in_doubt USING (vantage, window_start)
    ANTI JOIN (SELECT * FROM contradictions WHERE impossible IS NOT NULL) USING (vantage, target, window_start)
    WHERE feasible_site IS NOT NULL"""

_EVIDENCE = f"""
    SELECT s.vantage, s.service, s.target, s.window_start, s.witness, s.site, s.said, s.observations,
        CASE WHEN m.vantage IS NULL
            THEN d.distance_km <= {reach_sql("s.rtt_ms")} END AS possible
    FROM said AS s
    LEFT JOIN said_distances AS d USING (vantage, service, site)
    LEFT JOIN places_in_doubt AS m ON m.vantage = s.vantage AND m.window_start = s.window_start"""

# Each kind of witness votes for the site that it names in most traceroutes. A name that holds two towns votes for both.
_VOTES = f"""
    SELECT vantage, target, window_start, witness, site FROM (
        SELECT vantage, target, window_start, witness, site, sum(observations) AS observations
        FROM evidence WHERE witness <> '{Witness.SECOND_IDENTITY}' AND possible IS DISTINCT FROM FALSE
        GROUP BY vantage, target, window_start, witness, site)
    LEFT JOIN (SELECT vantage, target, window_start, count(*) AS routers FROM last_routers GROUP BY ALL)
        USING (vantage, target, window_start)
    WHERE witness = '{Witness.LIGHT}' OR 2 * observations > routers"""

# What is said of one router is one witness, however it is read. Where two readings of it name different sites, only the
# service's own word on its neighbours stands against another's.
_INFERRED = """
    SELECT vantage, target, window_start, router_site,
        CASE WHEN light_site IS NULL OR router_site IS NULL OR light_site = router_site
            THEN coalesce(router_site, CASE WHEN NOT readings_differ THEN light_site END) END AS inferred_site,
        CASE WHEN light_site = router_site AND NOT readings_differ THEN 'witnesses-agree'
            WHEN light_site <> router_site OR (readings_differ AND router_site IS NULL) THEN 'witnesses-disagree'
            WHEN neighbour IS NOT NULL THEN 'neighbour-of-site'
            WHEN hop_name IS NOT NULL THEN 'hop-name'
            WHEN exchange IS NOT NULL THEN 'exchange-of-site'
            ELSE 'only-feasible-site' END AS inferred_rule
    FROM (
        SELECT *, CASE WHEN neighbour IS NOT NULL OR NOT readings_differ
                THEN coalesce(neighbour, hop_name, exchange) END AS router_site
        FROM (
            SELECT *, coalesce(least(neighbour, hop_name, exchange)
                <> greatest(neighbour, other_hop_name, exchange), FALSE) AS readings_differ
            FROM (
            SELECT vantage, target, window_start,
                min(site) FILTER (WHERE witness = 'neighbour') AS neighbour,
                min(site) FILTER (WHERE witness = 'hop-name') AS hop_name,
                max(site) FILTER (WHERE witness = 'hop-name') AS other_hop_name,
                min(site) FILTER (WHERE witness = 'exchange') AS exchange,
                min(site) FILTER (WHERE witness = 'light') AS light_site
            FROM votes GROUP BY vantage, target, window_start)))"""


def gather_evidence(
    con: duckdb.DuckDBPyConnection,
    services: Sequence[Service],
    hop_names: Sequence[tuple[str, str]],
) -> None:
    """Leave the tables `evidence` and `inferred`, the site that it comes to.

    `hop_names` are routers' addresses and their names in the reverse DNS; a service's own `hop_names` go before them.
    """
    con.execute(f"CREATE OR REPLACE TEMP TABLE last_routers AS {_LAST_ROUTERS}")
    hops = con.execute("SELECT DISTINCT service, hop FROM last_routers WHERE next_door ORDER BY ALL").fetchall()
    by_name = {service.name: service for service in services}
    rows: list[tuple[object, ...]] = []
    for name, service in by_name.items():
        mine = [hop for measured, hop in hops if measured == name]
        rows += [(name, *row) for row in sites_of_hops(service, mine, dict(hop_names))]
    fill_table(con, "hop_sites (service VARCHAR, hop VARCHAR, witness VARCHAR, site VARCHAR, said VARCHAR)", rows)
    con.execute(f"CREATE OR REPLACE TEMP TABLE said AS {_SECOND} UNION ALL {_OF_ROUTERS} UNION ALL {_OF_LIGHT}")
    measure_distances(con, "said", "said_distances")
    con.execute(
        f"""CREATE OR REPLACE TEMP TABLE evidence AS SELECT {selected(EVIDENCE)} FROM ({_EVIDENCE})
        ORDER BY service, target, window_start, vantage, witness, site, said"""
    )
    con.execute(f"CREATE OR REPLACE TEMP TABLE votes AS {_VOTES}")
    con.execute(f"CREATE OR REPLACE TEMP TABLE inferred AS {_INFERRED}")


def sites_of_hops(
    service: Service, hops: Iterable[str], hop_names: Mapping[str, str]
) -> list[tuple[str, Witness, str, str]]:
    """Return what routers next to the target say: the address, the kind of witness, the site's code, its words."""
    names = {**hop_names, **{entry.address: entry.name for entry in service.hop_names}}
    neighbours = [(ipaddress.ip_network(entry.prefix), entry.site) for entry in service.neighbours]
    neighbours.sort(key=lambda entry: entry[0].prefixlen, reverse=True)
    rows: list[tuple[str, Witness, str, str]] = []
    for hop in hops:
        address = ipaddress.ip_address(hop)
        known = next((site for network, site in neighbours if address in network), None)
        if known is not None:
            rows.append((hop, Witness.NEIGHBOUR, known, hop))
        if hop in names:
            found = {named.site.code for named in sites_in_name(names[hop], service)}
            rows += [(hop, Witness.HOP_NAME, code, f"{hop} {names[hop]}") for code in sorted(found)]
        site = _site_at_exchange(service, hop)
        if site is not None:
            rows.append((hop, Witness.EXCHANGE, site[0].code, f"{hop} {site[1]}"))
    return rows


def _site_at_exchange(service: Service, hop: str) -> tuple[Site, str] | None:
    """Return the service's one site in the town of the exchange whose peering LAN has this address, and its name."""
    exchange = exchange_at(hop)
    if exchange is None:
        return None
    town = town_key(exchange.town, exchange.country)
    found = [site for site in service.sites if town_key(site.town, site.country) == town] or [
        site
        for site in service.sites
        if site.latitude is not None
        and site.longitude is not None
        and arc_km(site.latitude, site.longitude, exchange.latitude, exchange.longitude) <= _SAME_PLACE_KM
    ]
    return (found[0], exchange.name) if len(found) == 1 else None
