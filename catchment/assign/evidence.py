"""What else says which site answered: the last router before the target, and the time that light takes.

So that a target that gives no identity, or none of whose answers names a site, can be assigned. Reads `inside`,
`tallies`, `candidates`, `names`, `targets` and `vantage_points`. All that was said is kept in the table `evidence`; a
witness whose site light rules out has no vote, and witnesses that disagree are listed, never averaged.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Mapping, Sequence

import duckdb

from catchment.assign.distances import find_feasible, measure_distances, table_of_places
from catchment.assign.hop_names import sites_in_name
from catchment.engine import fill_table
from catchment.geo import IMPOSSIBLE_KM_PER_MS, IMPOSSIBLE_SLACK_KM, arc_km
from catchment.model import Service, Site, Window, Witness
from catchment.places import town_key
from catchment.places.exchanges import exchange_at

# A router that is farther from the target than this stands in another town: light goes 200 km there and back.
_NEXT_DOOR_MS = 2.0
# The town of an exchange and that of a site next to it may bear two names.
_SAME_PLACE_KM = 60.0

_LAST_ROUTERS = f"""
    SELECT o.vantage, t.service, o.target, o.window_start, o.hop, o.rtt_ms
    FROM inside AS o JOIN targets AS t ON t.target = o.target
    WHERE o.kind = 'traceroute' AND o.hop_gap = 0 AND o.rtt_ms - o.hop_rtt_ms <= {_NEXT_DOOR_MS}"""

# What the same reply said in second place, where it names a site as well. Reads `identities`.
_SECOND = f"""
    SELECT o.vantage, t.service, o.target, o.window_start, '{Witness.SECOND_IDENTITY}' AS witness, i.site,
        o.second_identity AS said, count(*) AS observations, min(o.rtt_ms) AS rtt_ms
    FROM inside AS o
    JOIN targets AS t ON t.target = o.target
    JOIN identities AS i ON i.service = t.service AND i.identity = o.second_identity
        AND i.identity_source = o.second_identity_source
    WHERE o.second_identity IS NOT NULL AND i.site IS NOT NULL
    GROUP BY o.vantage, t.service, o.target, o.window_start, i.site, o.second_identity"""

_OF_ROUTERS = """
    SELECT r.vantage, r.service, r.target, r.window_start, h.witness, h.site, h.said, count(*) AS observations,
        min(r.rtt_ms) AS rtt_ms
    FROM last_routers AS r JOIN hop_sites AS h ON h.service = r.service AND h.hop = r.hop
    GROUP BY r.vantage, r.service, r.target, r.window_start, h.witness, h.site, h.said"""

_OF_LIGHT = f"""
    SELECT vantage, service, target, window_start, '{Witness.LIGHT}' AS witness, feasible_site AS site,
        printf('%.3f ms', least_ms) AS said, 1 AS observations, least_ms AS rtt_ms
    FROM feasible WHERE feasible_sites = 1 AND feasible_site IS NOT NULL"""

_EVIDENCE = f"""
    SELECT s.vantage, s.service, s.target, s.window_start, s.witness, s.site, s.said,
        CAST(s.observations AS INTEGER) AS observations,
        d.distance_km <= s.rtt_ms * {IMPOSSIBLE_KM_PER_MS} + {IMPOSSIBLE_SLACK_KM} AS possible
    FROM said AS s LEFT JOIN said_distances AS d USING (vantage, service, site)"""

# Each kind of witness votes once, for the site that it named most often, if no other was named as often.
_VOTES = f"""
    SELECT vantage, target, window_start, witness, min(site) AS site FROM (
        SELECT *, max(observations) OVER (PARTITION BY vantage, target, window_start, witness) AS most FROM (
            SELECT vantage, target, window_start, witness, site, sum(observations) AS observations
            FROM evidence WHERE witness <> '{Witness.SECOND_IDENTITY}' AND possible IS DISTINCT FROM FALSE
            GROUP BY vantage, target, window_start, witness, site))
    WHERE observations = most
    GROUP BY vantage, target, window_start, witness HAVING count(DISTINCT site) = 1"""

# Where witnesses name different sites, only the service's own word on its neighbours stands against another's.
_INFERRED = f"""
    SELECT vantage, target, window_start,
        CASE WHEN sites = 1 THEN any_site ELSE neighbour END AS inferred_site,
        CASE WHEN sites = 1 AND witnesses > 1 THEN 'witnesses-agree'
            WHEN sites > 1 AND neighbour IS NULL THEN 'witnesses-disagree'
            WHEN neighbour IS NOT NULL THEN 'neighbour-of-site'
            WHEN hop_name IS NOT NULL THEN 'hop-name'
            WHEN exchange IS NOT NULL THEN 'exchange-of-site'
            ELSE 'only-feasible-site' END AS inferred_rule,
        coalesce(neighbour, hop_name, exchange) AS router_site
    FROM (
        SELECT vantage, target, window_start, count(DISTINCT site) AS sites, count(*) AS witnesses,
            min(site) AS any_site,
            min(site) FILTER (WHERE witness = '{Witness.NEIGHBOUR}') AS neighbour,
            min(site) FILTER (WHERE witness = '{Witness.HOP_NAME}') AS hop_name,
            min(site) FILTER (WHERE witness = '{Witness.EXCHANGE}') AS exchange
        FROM ({_VOTES}) GROUP BY vantage, target, window_start)"""


def gather_evidence(
    con: duckdb.DuckDBPyConnection,
    services: Sequence[Service],
    windows: Sequence[Window],
    hop_names: Sequence[tuple[str, str]],
) -> None:
    """Leave the tables `evidence`, `inferred` (the site that it comes to) and `feasible` (what light allows).

    `hop_names` are routers' addresses and their names in the reverse DNS; a service's own `hop_names` go before them.
    """
    table_of_places(con, services)
    con.execute(f"CREATE OR REPLACE TEMP TABLE last_routers AS {_LAST_ROUTERS}")
    hops = con.execute(
        "SELECT DISTINCT service, hop FROM last_routers WHERE service IS NOT NULL ORDER BY ALL"
    ).fetchall()
    by_name = {service.name: service for service in services}
    rows: list[tuple[object, ...]] = []
    for name, service in by_name.items():
        mine = [hop for measured, hop in hops if measured == name]
        rows += [(name, *row) for row in sites_of_hops(service, mine, dict(hop_names))]
    fill_table(con, "hop_sites (service VARCHAR, hop VARCHAR, witness VARCHAR, site VARCHAR, said VARCHAR)", rows)
    find_feasible(con, services, windows)
    con.execute(f"CREATE OR REPLACE TEMP TABLE said AS {_SECOND} UNION ALL {_OF_ROUTERS} UNION ALL {_OF_LIGHT}")
    measure_distances(con, "said", "said_distances")
    con.execute(
        f"""CREATE OR REPLACE TEMP TABLE evidence AS {_EVIDENCE}
        ORDER BY service, target, window_start, vantage, witness, site, said"""
    )
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
