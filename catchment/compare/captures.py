"""Whom somebody else answers now and did not before, or no more: who hears what is none of the service's."""

from __future__ import annotations

import duckdb

from catchment.compare.pairing import TargetPair
from catchment.compare.sides import NOTHING_HEARD
from catchment.compare.surplus import is_news
from catchment.engine import quote
from catchment.metrics import Numbers, rows_of
from catchment.model import Verdict

_MOST_IDENTITIES = 50
_MOST_NETWORKS = 20
_MOST_LISTED = 20
_MOST_DRAWN = 1_000  # answers of a vantage point; of more, this many stand for all
# Of so few vantage points a third are too few to be told from chance. Where none is freed, they are told all the same.
_FEW = 8
_MANY = 1 / 3

# Somebody who answers in the service's place gives each vantage point mostly one name: the one given most often counts.
# Where nothing was heard of a vantage point on the other side, nobody knows what it heard then.
_CAUGHT = f"""
    SELECT f.vantage, f.text, f.answers, b.verdict_{{there}} = '{Verdict.FOREIGN_IDENTITY}' AS alone, b.country, b.asn,
        b.site_before, b.site_after
    FROM (
        SELECT *, row_number() OVER (PARTITION BY vantage ORDER BY answers DESC, text) AS place
        FROM foreign_{{there}} WHERE target = {{target}}) AS f
    JOIN both_sides AS b USING (vantage)
    ANTI JOIN (SELECT vantage FROM foreign_{{absent}} WHERE target = {{elsewhere}}) AS e ON e.vantage = f.vantage
    WHERE f.place = 1 AND b.verdict_{{absent}} NOT IN {NOTHING_HEARD}"""

# Of many answers one is sooner somebody else's than of few: how many are, of as many answers on either side, drawn at
# random and always the same.
_ALIKE = f"""
    SELECT {{among_before}} AS before, {{among_after}} AS after, alike FROM (
        SELECT vantage, {{part_before}}, {{part_after}},
            greatest(1, least(answers_before, answers_after, {_MOST_DRAWN})) AS alike
        FROM both_sides WHERE others_before + others_after > 0
            AND verdict_before NOT IN {NOTHING_HEARD} AND verdict_after NOT IN {NOTHING_HEARD})"""
_PART = f"""least(answers_{{side}}, {_MOST_DRAWN}) AS count_{{side}},
            CAST(ceil(others_{{side}} * least(1, {_MOST_DRAWN} / greatest(answers_{{side}}, 1))) AS BIGINT)
                AS among_{{side}}"""
_AMONG = """CASE WHEN count_{side} <= alike OR among_{side} = 0 THEN among_{side} ELSE len(list_filter(
        list_sort(list_transform(range(count_{side}), lambda i: struct_pack(
            draw := md5(concat_ws('/', vantage, i)), is_other := i < among_{side})))[:alike],
        lambda drawn: drawn.is_other)) END"""


def find_caught(con: duckdb.DuckDBPyConnection, pair: TargetPair) -> Numbers:
    """Count those of `both_sides` that somebody else answers after the change and did not before it, and `freed` ones.

    These somebody else answered before the change and does not after it. `alone` are answered by nobody else on that
    side, the others now and then; `of` is all who were heard of on that side. `alike` counts the same where no more
    answers of the one side are held against those of the other: a box that answers now and then catches as many as it
    frees. `news` says that it is more than that. `different` is how many identities there are, of which not all are
    named. Reads `foreign_before` and `foreign_after`.
    """
    columns = {
        f"{name}_{side}": sql.format(side=side)
        for name, sql in (("among", _AMONG), ("part", _PART))
        for side in ("before", "after")
    }
    con.execute(f"CREATE OR REPLACE TEMP TABLE alike AS {_ALIKE.format(**columns)}")
    caught, freed = _find(con, pair, "after", "before"), _find(con, pair, "before", "after")
    for one, other in ((caught, freed), (freed, caught)):
        one["news"] = _is_news(one, other)
    return {"caught": caught, "freed": freed}


def _is_news(one: Numbers, other: Numbers) -> bool:
    of, count = one["of"], one["vantage_points"]
    if count and of <= _FEW and not other["vantage_points"]:
        return bool(count >= _MANY * of)
    return any(is_news(one["alike"][key], other["alike"][key], of) for key in one["alike"])


def _find(con: duckdb.DuckDBPyConnection, pair: TargetPair, there: str, absent: str) -> Numbers:
    targets = dict(zip(("before", "after"), (quote(target.address) for target in pair), strict=True))
    found = _CAUGHT.format(there=there, absent=absent, target=targets[there], elsewhere=targets[absent])
    con.execute(f"CREATE OR REPLACE TEMP TABLE caught AS {found}")
    count, alone, *different = con.execute(
        """SELECT count(*), count(*) FILTER (WHERE alone), count(DISTINCT text),
            count(DISTINCT text) FILTER (WHERE alone) FROM caught"""
    ).fetchall()[0]
    (heard,) = con.execute(f"SELECT count(*) FROM both_sides WHERE verdict_{there} NOT IN {NOTHING_HEARD}").fetchall()[
        0
    ]
    alike = con.execute(
        f"SELECT count(*), count(*) FILTER (WHERE 2 * {there} > alike) FROM alike WHERE {there} > 0 AND {absent} = 0"
    ).fetchall()[0]
    identities = rows_of(
        con.execute(
            f"""FROM (SELECT text, count(*) AS vantage_points, count_if(alone) AS alone FROM caught GROUP BY text)
            QUALIFY row_number() OVER (ORDER BY alone DESC, vantage_points DESC, text) <= {_MOST_IDENTITIES}
            ORDER BY vantage_points DESC, text"""
        )
    )
    listed = rows_of(
        con.execute(
            f"""SELECT vantage, country, asn, site_before, site_after, text, answers, alone FROM caught
            ORDER BY NOT alone, length(vantage), vantage LIMIT {_MOST_LISTED}"""
        )
    )
    return {
        "vantage_points": count,
        "alone": alone,
        "alike": dict(zip(("vantage_points", "alone"), alike, strict=True)),
        "of": heard,
        "identities": identities,
        "different": dict(zip(("vantage_points", "alone"), different, strict=True)),
        "countries": _networks(con, "country"),
        "asns": _networks(con, "asn"),
        "listed": listed,
    }


def _networks(con: duckdb.DuckDBPyConnection, key: str) -> dict[str, int]:
    rows = con.execute(
        f"""SELECT coalesce({key}, 'unknown') AS key, count(*) AS n FROM caught
        GROUP BY 1 ORDER BY n DESC, 1 LIMIT {_MOST_NETWORKS}"""
    ).fetchall()
    return dict(rows)
