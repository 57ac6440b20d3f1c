"""What a comparison keeps of each run, and the vantage points of both, side by side."""

from __future__ import annotations

from collections.abc import Sequence

import duckdb

from catchment.compare.pairing import TargetPair
from catchment.engine import fill_table
from catchment.geo import CONTINENT_OF
from catchment.metrics import ASSIGNED_LIST
from catchment.model import Kind, Level, Outcome, Service, Verdict

MOST_TRACES = 3
"""So many traceroutes of a vantage point are kept of either side: flows differ, and so may their paths."""

_MOST_TIMES = 60
"""So many round trips of a vantage point are kept of either side, drawn at random."""

UNHEARD = (Verdict.NO_RESULT, Verdict.PROBE_FAILED, Verdict.MALFORMED)
"""Verdicts that say something of the vantage point, and nothing of the service."""

NOTHING_HEARD = "({})".format(", ".join(f"'{verdict}'" for verdict in UNHEARD))
"""The same as SQL has them."""

# What is compared, of one side: a server has the name that its identity gives it, below its site's.
_PLACE = {
    Level.SERVER: "CASE WHEN server IS NOT NULL THEN site || '/' || server END",
    Level.SITE: "site",
    Level.COUNTRY: "site_country",
}
# Who sees several servers of a site in one run is behind a load balancer, and moves between them all the time.
_FLAPPING = {
    Level.SERVER: "flips > 0 OR servers_seen > 1",
    Level.SITE: "flips > 0",
    Level.COUNTRY: "flips > 0",
}
_SIDE = """(
    SELECT s.*, {place} AS place, {flapping} AS flapping
    FROM assignments_{side} AS s LEFT JOIN site_countries AS k USING (service, site) WHERE target = ${side})"""
_ANSWERS = "{of}.identified + {of}.unknown_identity + {of}.foreign_identity + {of}.errors + {of}.empty"
# One row for each vantage point of either side; of its `answers`, `others` are somebody else's. Reads
# `assignments_before`, `assignments_after`, `continents`, `site_countries`, and `vantage_points` (of both runs, the
# later place of each).
_BOTH = f"""
    SELECT coalesce(b.vantage, a.vantage) AS vantage, b.place AS "from", a.place AS "to",
        b.site AS site_before, a.site AS site_after, b.flips AS flips_before, a.flips AS flips_after,
        b.rtt_ms_median AS rtt_ms_before, a.rtt_ms_median AS rtt_ms_after,
        coalesce({_ANSWERS.format(of="b")}, 0) AS answers_before, coalesce(b.foreign_identity, 0) AS others_before,
        coalesce({_ANSWERS.format(of="a")}, 0) AS answers_after, coalesce(a.foreign_identity, 0) AS others_after,
        coalesce(b.verdict, 'no-result') AS verdict_before, coalesce(a.verdict, 'no-result') AS verdict_after,
        coalesce(b.verdict IN ({ASSIGNED_LIST}), FALSE) AS assigned_before,
        coalesce(a.verdict IN ({ASSIGNED_LIST}), FALSE) AS assigned_after,
        (b.site IS NOT NULL AND b.place IS NULL) OR (a.site IS NOT NULL AND a.place IS NULL) AS placeless,
        coalesce(b.flapping, FALSE) OR coalesce(a.flapping, FALSE) AS flapping,
        CAST(CASE WHEN coalesce(a.af, b.af) = 6 THEN v.asn_v6 ELSE v.asn_v4 END AS VARCHAR) AS asn,
        v.country, v.latitude, v.longitude, c.continent
    FROM {{before}} AS b
    FULL JOIN {{after}} AS a ON a.vantage = b.vantage
    LEFT JOIN vantage_points AS v ON v.vantage = coalesce(b.vantage, a.vantage)
    LEFT JOIN continents AS c ON c.country = v.country"""


def keep_side(con: duckdb.DuckDBPyConnection, side: str) -> None:
    """Keep of a run that was just judged who heard somebody else, where its last traceroutes stand, and round trips.

    Reads `judged_equal` and `inside`; leaves `foreign_<side>`, `traces_<side>`, and `times_<side>`: of each vantage
    point and target the round trips of identified answers (`dns`) and of pings (`ping`), in an order that is as good as
    random and always the same.
    """
    con.execute(
        f"""CREATE OR REPLACE TEMP TABLE foreign_{side} AS
        SELECT vantage, target, identity AS text, sum(observations)::BIGINT AS answers FROM judged_equal
        WHERE outcome = '{Outcome.FOREIGN}' GROUP BY vantage, target, identity"""
    )
    con.execute(
        f"""CREATE OR REPLACE TEMP TABLE traces_{side} AS
        SELECT vantage, target, raw_file, raw_record, row_number() OVER (
            PARTITION BY vantage, target ORDER BY measured_at DESC, raw_file, raw_record DESC) AS age
        FROM inside WHERE kind = 'traceroute' AND failure IS NULL QUALIFY age <= {MOST_TRACES}"""
    )
    # Equal round trips are numbered, so that each is drawn by itself: as many of them come first as chance has it.
    con.execute(
        f"""CREATE OR REPLACE TEMP TABLE times_{side} AS
        SELECT vantage, target, kind, list(rtt_ms ORDER BY draw, rtt_ms) AS rtts_ms FROM (
            SELECT vantage, target, kind, rtt_ms, md5(concat_ws('/', vantage, rtt_ms, number)) AS draw FROM (
                SELECT *, row_number() OVER (PARTITION BY vantage, target, kind, rtt_ms) AS number FROM (
                    SELECT vantage, target, kind, unnest(rtts_ms) AS rtt_ms FROM judged_equal
                    WHERE outcome = '{Outcome.IDENTIFIED}' OR kind = '{Kind.PING}'))
            QUALIFY row_number() OVER (PARTITION BY vantage, target, kind ORDER BY draw, rtt_ms) <= {_MOST_TIMES})
        GROUP BY vantage, target, kind"""
    )


def table_of_places(con: duckdb.DuckDBPyConnection, services: Sequence[Service]) -> None:
    """Leave the tables `continents` and `site_countries`."""
    fill_table(con, "continents (country VARCHAR, continent VARCHAR)", list(CONTINENT_OF.items()))
    countries = [(service.name, site.code, site.country) for service in services for site in service.sites]
    fill_table(con, "site_countries (service VARCHAR, site VARCHAR, site_country VARCHAR)", countries)


def join_sides(con: duckdb.DuckDBPyConnection, pair: TargetPair, level: Level) -> None:
    """Leave `both_sides`, a row for each vantage point of a target, and `paired`, those that can be compared.

    `stayed` are those of them who were at one and the same site all the time, whatever the level.
    """
    before, after = pair
    sides = {
        side: _SIDE.format(place=_PLACE[level], flapping=_FLAPPING[level], side=side) for side in ("before", "after")
    }
    con.execute(
        f"CREATE OR REPLACE TEMP TABLE both_sides AS {_BOTH.format(**sides)}",
        {"before": before.address, "after": after.address},
    )
    con.execute(
        """CREATE OR REPLACE TEMP TABLE paired AS SELECT *, "from" <> "to" AS moved FROM both_sides
        WHERE assigned_before AND assigned_after AND NOT placeless"""
    )
    con.execute(
        """CREATE OR REPLACE TEMP TABLE stayed AS SELECT * FROM paired
        WHERE site_before = site_after AND NOT moved AND flips_before = 0 AND flips_after = 0"""
    )
