"""What distinct texts in results mean, decided once each: replies, destinations, errors, routers."""

from __future__ import annotations

import datetime
import json
from collections.abc import Iterable, Mapping, Sequence

import duckdb

from catchment.engine import quote
from catchment.model import Failure, Kind, Service
from catchment.observe.addresses import canonical_address
from catchment.observe.message import Reply, decode_key
from catchment.observe.reading import ResultFile, printable

_PROBE_FAILED = (
    "getaddrinfo", "evdns_getaddrinfo", "nameserver", "senderror", "socket", "TUDNS", "TUSOCKET", "TU_BAD_ADDR",
    "TU_OUT_OF_ADDRESS",
)  # fmt: skip


def make_dictionaries(
    con: duckdb.DuckDBPyConnection,
    files: Sequence[ResultFile],
    services: Sequence[Service],
    own_names: Mapping[int, str],
) -> None:
    """Decide once for each distinct reply, destination, error and router; `own_names` are those of vantage points.

    The answers become small tables that SQL joins. Their texts are ENUMs, so that sorting and writing the observations
    moves codes of a few bytes instead of texts: twice as fast.
    """
    found = con.execute(
        """SELECT msm_id, list(DISTINCT key) FILTER (key IS NOT NULL),
            list(DISTINCT destination) FILTER (destination IS NOT NULL),
            list(DISTINCT error) FILTER (error IS NOT NULL), list(DISTINCT hop) FILTER (hop IS NOT NULL)
        FROM items GROUP BY msm_id"""
    ).fetchall()
    replies = {key: decode_key(key) for _, keys, *_ in found for key in keys or ()}
    destinations = sorted({text for _, _, texts, *_ in found for text in texts or ()})
    errors = sorted({text for *_, texts, _ in found for text in texts or ()})
    hops = sorted({text for *_, texts in found for text in texts or ()})
    # Before its first day an address was somebody else's; after its last one it may answer for years.
    service_of = {
        entry.address: (service.name, None if entry.since is None else _midnight(entry.since))
        for service in services
        for entry in service.addresses
    }
    _fill(con, "files", {"number": "INTEGER", "name": ""}, ((number, file.name) for number, file in enumerate(files)))
    con.execute(f"CREATE TYPE kinds AS ENUM ({', '.join(map(quote, Kind))})")
    con.execute(f"CREATE TYPE failures AS ENUM ({', '.join(map(quote, Failure))})")
    columns = (
        "query", "identity", "identity_source", "second_identity", "second_identity_source", "rcode", "class",
        "question_class",
    )  # fmt: skip
    _fill(
        con,
        "replies",
        {"key": "VARCHAR", "readable": "BOOLEAN"} | dict.fromkeys(columns, ""),
        (_reply_row(key, reply) for key, reply in replies.items()),
    )
    addresses = {text: canonical_address(text) for text in destinations}
    columns_of_destination = {
        "destination": "VARCHAR",
        "address": "",
        "af": "INTEGER",
        "service": "",
        "since": "DOUBLE",
    }
    _fill(
        con,
        "destinations",
        columns_of_destination,
        ((text, *_target(address, service_of)) for text, address in addresses.items()),
    )
    _fill(
        con, "errors", {"error": "VARCHAR", "failure": "VARCHAR", "detail": ""}, (_error_row(text) for text in errors)
    )
    _fill(con, "own_vantages", {"number": "BIGINT", "name": "VARCHAR"}, own_names.items())
    _fill(con, "hops", {"hop": "VARCHAR", "address": ""}, ((text, canonical_address(text)) for text in hops))
    # A measurement has one target and one query; where a result does not tell them, its siblings do.
    contexts = (
        (
            msm_id,
            *_target(_only({addresses[text] for text in texts or ()}), service_of),
            _only({replies[key].query for key in keys or ()}),
        )
        for msm_id, keys, texts, *_ in found
    )
    columns_of_context = {"address": "destinations_address", "af": "INTEGER", "service": "destinations_service"}
    columns_of_context |= {"since": "DOUBLE"}
    _fill(con, "contexts", {"msm_id": "BIGINT"} | columns_of_context | {"query": "replies_query"}, contexts)


def _only(values: set[str | None]) -> str | None:
    known = values - {None}
    return known.pop() if len(known) == 1 else None


def _target(
    address: str | None, service_of: dict[str, tuple[str, float | None]]
) -> tuple[str | None, int | None, str | None, float | None]:
    """Return an address with its family, its service, and since when it is that service's."""
    if address is None:
        return None, None, None, None
    return address, 6 if ":" in address else 4, *service_of.get(address, (None, None))


def _midnight(day: datetime.date) -> float:
    return datetime.datetime.combine(day, datetime.time(), datetime.UTC).timestamp()


def _fill(
    con: duckdb.DuckDBPyConnection, table: str, columns: dict[str, str], rows: Iterable[tuple[object, ...]]
) -> None:
    """Make a table of rows; a column without a type is an ENUM of its own texts, in their order."""
    values = [list(column) for column in zip(*rows, strict=True)] or [[] for _ in columns]
    types = dict(columns)
    for (name, declared), column in zip(columns.items(), values, strict=True):
        if not declared:
            types[name] = f"{table}_{name}"
            texts = ", ".join(quote(text) for text in sorted({str(value) for value in column if value is not None}))
            con.execute(f"CREATE TYPE {types[name]} AS ENUM ({texts})")
    con.execute(f"CREATE TEMP TABLE {table} ({', '.join(f'{name} {type_}' for name, type_ in types.items())})")
    con.execute(f"INSERT INTO {table} SELECT {', '.join('unnest(?)' for _ in values)}", values)


def _reply_row(key: str, reply: Reply) -> tuple[object, ...]:
    return (
        key, reply.readable, reply.query, reply.identity, reply.identity_source, reply.second_identity,
        reply.second_identity_source, reply.rcode, reply.answer_class, reply.question_class,
    )  # fmt: skip


def _error_row(text: str) -> tuple[object, ...]:
    """Return an error as it stands in a result, the kind of failure it is, and what it says."""
    try:
        error = json.loads(text)
    except ValueError:
        error = text
    if not isinstance(error, dict):
        return text, Failure.NETWORK, printable(str(error).encode())
    detail = printable("; ".join(f"{key}: {value}" for key, value in error.items()).encode())
    if "timeout" in error:
        return text, Failure.TIMEOUT, detail
    if any(key in error for key in _PROBE_FAILED):
        return text, Failure.PROBE_FAILED, detail
    return text, Failure.MALFORMED if "idmismatch" in error else Failure.NETWORK, detail
