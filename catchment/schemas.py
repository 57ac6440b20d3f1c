"""The columns of every tier, once. Writers cast to these types; a column never comes or goes with a flag.

Times are seconds since 1970 UTC, so that they read the same in DuckDB, Spark and NumPy.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Column:
    """One column of a tier: its name, its SQL type, and what it means."""

    name: str
    type: str
    meaning: str


VANTAGE_POINTS = (
    Column("vantage", "VARCHAR", "who measured: atlas:6019, local:<host>, net:1.0.6.0/24"),
    Column("latitude", "DOUBLE", "degrees north; absent where nobody knows"),
    Column("longitude", "DOUBLE", "degrees east"),
    Column("country", "VARCHAR", "ISO 3166-1 code"),
    Column("asn_v4", "BIGINT", "autonomous system that announces its IPv4 address"),
    Column("asn_v6", "BIGINT", "the same for IPv6"),
    Column("tags", "VARCHAR[]", "as the platform gives them"),
    Column("is_anchor", "BOOLEAN", "a RIPE Atlas anchor"),
)

OBSERVATIONS = (
    Column("vantage", "VARCHAR", "who measured"),
    Column("service", "VARCHAR", "the service that has the target's address; absent where it is none of the run's"),
    Column("target", "VARCHAR", "the address measured; absent where the result does not tell"),
    Column("af", "TINYINT", "address family, 4 or 6"),
    Column("kind", "VARCHAR", "dns, ping or traceroute"),
    Column("measured_at", "DOUBLE", "when, in seconds since 1970 UTC"),
    Column(
        "rtt_ms", "DOUBLE", "of the reply that carries the identity; least of a ping; of the target in a traceroute"
    ),
    Column(
        "query", "VARCHAR", "what was asked: hostname.bind, id.server, or 'TYPE name' where it is no identity query"
    ),
    Column(
        "identity", "VARCHAR", "the string by which the server names itself; bytes outside printable ASCII as \\xNN"
    ),
    Column("identity_source", "VARCHAR", "where it stood: hostname.bind, id.server, …, nsid"),
    Column("second_identity", "VARCHAR", "another identity in the same reply (NSID beside a CHAOS answer)"),
    Column("second_identity_source", "VARCHAR", "where that stood"),
    Column("rcode", "VARCHAR", "NOERROR, REFUSED, …; absent where there is no message"),
    Column("class", "VARCHAR", "class of the answer, or else of the question: CH, IN"),
    Column("question_class", "VARCHAR", "class that was asked; absent where the reply does not repeat the question"),
    Column("failure", "VARCHAR", "timeout, probe-failed, network, malformed, not-reached; absent for an answer"),
    Column("failure_detail", "VARCHAR", "what the result said of it"),
    Column("flow", "INTEGER", "source port or Paris id"),
    Column("hop", "VARCHAR", "address of the last router that answered before the target, in a traceroute"),
    Column("hop_rtt_ms", "DOUBLE", "least RTT of that router"),
    Column("hop_gap", "INTEGER", "how many silent routers stand between it and the target"),
    Column("measurement_id", "BIGINT", "of the platform"),
    Column("raw_file", "VARCHAR", "file in raw/"),
    Column("raw_record", "BIGINT", "record in that file: which line that is not blank, or which array element, from 1"),
    Column("raw_item", "INTEGER", "which item of the record's resultset, from 1; 0 where it has none"),
)

ASSIGNMENTS = (
    Column("vantage", "VARCHAR", "who measured"),
    Column("service", "VARCHAR", "the service measured; absent where only an address is known"),
    Column("target", "VARCHAR", "its address"),
    Column("af", "TINYINT", "address family, 4 or 6"),
    Column("window_start", "DOUBLE", "first second of the window"),
    Column("window_end", "DOUBLE", "first second after it"),
    Column("site", "VARCHAR", "code of the site reached; absent unless the verdict assigns one"),
    Column("server", "VARCHAR", "the server within the site, where identities tell"),
    Column("verdict", "VARCHAR", "ok, repaired, … (model.Verdict)"),
    Column("rule", "VARCHAR", "id of the rule that gave the verdict (assign.rules)"),
    Column("site_rule", "VARCHAR", "id of the rule that turned the identity into the site"),
    Column("identity", "VARCHAR", "the identity most often given: of the site, or else the one that names no site"),
    Column("confidence", "VARCHAR", "high, medium or low (model.Confidence); absent where no site is assigned"),
    Column("identified", "INTEGER", "answers that name a site"),
    Column("foreign_identity", "INTEGER", "answers whose identity matches no pattern of the service"),
    Column("unknown_identity", "INTEGER", "answers whose identity matches, but names no known site"),
    Column("errors", "INTEGER", "answers with an error rcode and no identity"),
    Column("empty", "INTEGER", "answers without error and without identity"),
    Column("beside", "INTEGER", "replies to questions that ask for no identity: they decide where nothing else came"),
    Column("timeouts", "INTEGER", "queries without an answer"),
    Column("send_failures", "INTEGER", "queries that the vantage point could not send"),
    Column("network_failures", "INTEGER", "queries refused or reset on the way"),
    Column("malformed", "INTEGER", "replies and results that nobody can read"),
    Column("witnesses_agree", "INTEGER", "answers in which two identities name the same site"),
    Column("witnesses_disagree", "INTEGER", "answers in which they name different sites, or one is foreign"),
    Column("pings_answered", "INTEGER", "pings and traceroutes that the target answered"),
    Column("pings_lost", "INTEGER", "pings and traceroutes that it did not"),
    Column("sites_seen", "INTEGER", "different sites named"),
    Column("servers_seen", "INTEGER", "different servers named at the site"),
    Column("flips", "INTEGER", "times that one identified answer named another site than the one before it"),
    Column(
        "rtt_ms_min", "DOUBLE", "least RTT of what names the site (answers, or echoes), else of the answers that won"
    ),
    Column("rtt_ms_median", "DOUBLE", "their median"),
    Column("ping_ms_min", "DOUBLE", "least RTT of the pings"),
    Column("distance_km", "DOUBLE", "from the vantage point to the site"),
    Column("nearest_site", "VARCHAR", "code of the nearest site active in the window"),
    Column("nearest_km", "DOUBLE", "distance to it"),
    Column(
        "feasible_sites", "INTEGER", "active sites that light allows by the least RTT; absent where several answered"
    ),
)

EVIDENCE = (
    Column("vantage", "VARCHAR", "who measured"),
    Column("service", "VARCHAR", "the service measured"),
    Column("target", "VARCHAR", "its address"),
    Column("window_start", "DOUBLE", "first second of the window"),
    Column("witness", "VARCHAR", "second-identity, neighbour, hop-name, exchange or light (model.Witness)"),
    Column("site", "VARCHAR", "code of the site that it speaks for"),
    Column("said", "VARCHAR", "what it said: an identity, a router's address or name, an exchange, an RTT"),
    Column("observations", "INTEGER", "how often"),
    Column("possible", "BOOLEAN", "whether light allows that site; absent where nobody knows"),
)


def declared(columns: tuple[Column, ...]) -> str:
    """Return the columns as they stand in CREATE TABLE."""
    return ", ".join(f'"{column.name}" {column.type}' for column in columns)


def selected(columns: tuple[Column, ...]) -> str:
    """Return the columns as they stand in SELECT, each cast to its type.

    Texts stay as they are: they may be ENUMs, which Parquet stores as texts and DuckDB writes twice as fast.
    """
    return ", ".join(
        f'"{column.name}"' if column.type == "VARCHAR" else f'CAST("{column.name}" AS {column.type}) AS "{column.name}"'
        for column in columns
    )
