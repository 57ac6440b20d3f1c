from __future__ import annotations

import bz2
import gzip
import json
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
import zstandard
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from catchment.engine import connection
from catchment.errors import InvalidFile
from catchment.importers import Probes, find_files, point_row, read_probes, sniff_files, write_vantage_points
from tests.atlas_results import place

Entry = dict[str, Any]
FLAT = place(6019, 50.11, 8.68, "DE", asn_v6=64_501, is_anchor=True, tags=["system-anchor", "datacentre"])
ROW = ("atlas:6019", 50.11, 8.68, "DE", 64_500, 64_501, ["system-anchor", "datacentre"], True)
API = {key: value for key, value in FLAT.items() if key not in {"latitude", "longitude"}} | {
    "geometry": {"type": "Point", "coordinates": [8.68, 50.11]},
    "tags": [{"name": "Anchor", "slug": "system-anchor"}, {"name": "Datacentre", "slug": "datacentre"}],
}


@pytest.fixture
def probes(tmp_path: Path) -> Callable[[Any], Probes]:
    def read(content: Any) -> Probes:
        path = tmp_path / "probes.json"
        path.write_bytes(content if isinstance(content, bytes) else json.dumps(content).encode())
        return read_probes(path)

    return read


@pytest.mark.parametrize(
    "content",
    [
        {"meta": {"total_count": 1}, "objects": [FLAT]},
        {"count": 1, "next": None, "previous": None, "results": [API]},
        [FLAT],
        [API],
        FLAT,
        API,
        json.dumps(FLAT).encode() + b"\n\n",
        gzip.compress(json.dumps([API]).encode()),
        bz2.compress(json.dumps({"objects": [FLAT]}).encode()),
        zstandard.compress(json.dumps(FLAT).encode()),
    ],
)
def test_a_probe_list_is_read_in_every_shape(probes: Callable[[Any], Probes], content: Any) -> None:
    assert probes(content) == Probes(rows=(ROW,), unusable=0)


def test_one_object_a_line_is_a_probe_list(probes: Callable[[Any], Probes]) -> None:
    lines = b"\n".join(json.dumps(place(probe)).encode() for probe in (1, 2, 3))
    assert [row[0] for row in probes(lines).rows] == ["atlas:1", "atlas:2", "atlas:3"]


@pytest.mark.parametrize(
    "geometry",
    [None, {"type": "Point", "coordinates": None}, {"coordinates": []}, {"coordinates": [8.68]},
     {"coordinates": ["a", "b"]}, {}, "somewhere", {"coordinates": [8.68, 90.5]}, {"coordinates": [180.5, 50.11]}],
)  # fmt: skip
def test_a_probe_whose_place_nobody_knows_is_kept_without_one(probes: Callable[[Any], Probes], geometry: Any) -> None:
    (row,) = probes([API | {"geometry": geometry}]).rows
    assert row == (ROW[0], None, None, *ROW[3:])


@pytest.mark.parametrize(
    ("latitude", "longitude"), [(91, 0), (-90.1, 0), (0, 181), (0, -180.1), (50.0, None), (None, 8.0), ("50", "8")]
)
def test_half_a_place_or_one_off_the_earth_is_none(
    probes: Callable[[Any], Probes], latitude: object, longitude: object
) -> None:
    (row,) = probes([FLAT | {"latitude": latitude, "longitude": longitude}]).rows
    assert row[1:3] == (None, None)


@pytest.mark.parametrize("number", [b"NaN", b"Infinity", b"1e999"])
def test_a_latitude_that_is_no_number_is_none(probes: Callable[[Any], Probes], number: bytes) -> None:
    (row,) = probes(b'{"id": 1, "latitude": ' + number + b', "longitude": 8}').rows
    assert row[1:3] == (None, None)


@pytest.mark.parametrize(("latitude", "longitude"), [(90, 180), (-90, -180), (0, 0)])
def test_the_edges_of_the_map_are_places(probes: Callable[[Any], Probes], latitude: float, longitude: float) -> None:
    (row,) = probes([place(1, latitude, longitude)]).rows
    assert row[1:3] == (latitude, longitude)


@pytest.mark.parametrize("country", ["", None])
def test_an_empty_country_is_none(probes: Callable[[Any], Probes], country: str | None) -> None:
    assert probes([FLAT | {"country_code": country}]).rows[0][3] is None


def test_a_probe_with_nothing_but_an_id_is_kept(probes: Callable[[Any], Probes]) -> None:
    assert probes([{"id": 7}]).rows == (("atlas:7", None, None, None, None, None, [], False),)


def test_entries_without_an_id_are_counted(probes: Callable[[Any], Probes]) -> None:
    found = probes([FLAT, {"latitude": 1}, FLAT | {"id": None}, FLAT | {"id": "7"}, None, 5])
    assert (found.rows, found.unusable) == ((ROW,), 5)


def test_of_two_entries_with_one_id_the_last_counts(probes: Callable[[Any], Probes]) -> None:
    assert [row[4] for row in probes([FLAT, FLAT | {"asn_v4": 7}]).rows] == [7]


@pytest.mark.parametrize(
    "content",
    [b"<html>\n<body>\n", b"{", b"[]", b"{}", b"5", b"null", {"objects": []}, {"objects": None}, {"results": [{}]},
     {"prb_id": 1, "timestamp": 2}, json.dumps(FLAT).encode() + b"\n<html>", b'{"id": 1'],
)  # fmt: skip
def test_what_is_no_probe_list_is_refused_in_one_line(probes: Callable[[Any], Probes], content: Any) -> None:
    with pytest.raises(InvalidFile, match=r"^[^\n]*probes\.json[^\n]*probe[^\n]*$"):
        probes(content)


@pytest.mark.parametrize("content", [b"", b"\n \n"])
def test_an_empty_probe_list_is_refused(probes: Callable[[Any], Probes], content: bytes) -> None:
    with pytest.raises(InvalidFile):
        probes(content)


@pytest.mark.parametrize(
    "content",
    [
        pytest.param(
            gzip.compress(json.dumps([place(probe) for probe in range(12_000)]).encode())[:-50], id="cut gzip"
        ),
        pytest.param(b"[" * 100_000, id="nested"),
        pytest.param([FLAT | {"tags": 5}], id="tags"),
    ],
)
def test_a_damaged_probe_list_is_refused_or_read_but_never_a_traceback(
    probes: Callable[[Any], Probes], content: Any
) -> None:
    with suppress(InvalidFile):
        assert probes(content).rows


def test_a_probe_list_behind_a_byte_order_mark_is_read(probes: Callable[[Any], Probes]) -> None:
    assert probes(b"\xef\xbb\xbf" + json.dumps([FLAT]).encode()).rows == (ROW,)


values = (
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5) | st.lists(st.integers(), max_size=3)
)
entries = st.fixed_dictionaries(
    {"id": st.integers(1, 9)},
    optional={
        "latitude": values,
        "longitude": values,
        "geometry": values | st.fixed_dictionaries({"coordinates": values | st.lists(values)}),
        "country_code": st.none() | st.text(max_size=3),
        "tags": st.none() | st.lists(values | st.fixed_dictionaries({"slug": values})),
        "is_anchor": values,
    },
)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(st.lists(entries, min_size=1))
def test_whatever_a_probe_list_says_places_are_on_the_earth(
    probes: Callable[[Any], Probes], listed: list[Entry]
) -> None:
    found = probes(listed)
    assert {row[0] for row in found.rows} == {f"atlas:{entry['id']}" for entry in listed}
    for _, latitude, longitude, *_ in found.rows:
        assert (latitude is None) == (longitude is None)
        assert latitude is None or (abs(latitude) <= 90 and abs(longitude) <= 180)  # type: ignore[arg-type]


def test_the_official_archive_of_a_day_is_read_whole(recordings: Path) -> None:
    found = read_probes(recordings / "probes" / "2018-12-11.json.gz")
    assert (len(found.rows), found.unusable) == (23_823, 0)
    assert sum(row[1] is not None for row in found.rows) == 23_822
    assert sum(row[4] is not None for row in found.rows) == 20_687


def test_vantage_points_are_those_observed_and_the_unlisted_are_counted(tmp_path: Path) -> None:
    listed = Probes(rows=(ROW, ("atlas:1", None, None, None, None, None, [], False)))
    with connection(tmp_path) as con:
        seen, to = tmp_path / "seen.parquet", tmp_path / "to.parquet"
        con.execute(f"COPY (SELECT unnest(['atlas:7', 'atlas:6019', 'atlas:7']) AS vantage) TO '{seen}'")
        assert write_vantage_points(con, listed, seen, to) == 1
        written = con.execute(f"SELECT * FROM read_parquet('{to}')").fetchall()
    assert written == [ROW, ("atlas:7", *[None] * 7)]


def test_vantage_points_without_a_probe_list_are_all_unlisted(tmp_path: Path) -> None:
    with connection(tmp_path) as con:
        seen, to = tmp_path / "seen.parquet", tmp_path / "to.parquet"
        con.execute(f"COPY (SELECT 'atlas:7' AS vantage) TO '{seen}'")
        assert write_vantage_points(con, Probes(), seen, to) == 1


def test_a_vantage_point_of_ours_is_a_row_with_its_place_or_none() -> None:
    assert point_row("local:one", 50.1, 8.7, "DE", 64_500, 64_501) == (
        "local:one", 50.1, 8.7, "DE", 64_500, 64_501, [], False,
    )  # fmt: skip
    for latitude, longitude in ((None, None), (91.0, 8.7), (50.1, None), (float("nan"), 8.7)):
        assert point_row("lab:7", latitude, longitude, None)[1:3] == (None, None)


def test_a_folder_is_searched_through_in_order_and_hidden_files_are_left_out(tmp_path: Path) -> None:
    for name in ("b.json", "a.json", ".hidden", "deep/er/c.json"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("{}")
    assert [name for _, name in find_files([tmp_path])] == ["a.json", "b.json", "c.json"]


def test_a_name_that_is_taken_by_other_files_is_not_given_again(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text("{}")
    assert find_files([tmp_path / "a.json"], {"a.json", "2-a.json"}) == [(tmp_path / "a.json", "3-a.json")]


def test_files_of_one_name_are_numbered(tmp_path: Path) -> None:
    paths = [tmp_path / folder / "a.json" for folder in ("1", "2", "3")]
    for path in paths:
        path.parent.mkdir()
        path.write_text("{}")
    assert find_files(paths) == list(zip(paths, ["a.json", "2-a.json", "3-a.json"], strict=True))


def test_a_numbered_name_is_never_that_of_another_file(tmp_path: Path) -> None:
    paths = [tmp_path / "1" / "a.json", tmp_path / "1" / "2-a.json", tmp_path / "2" / "a.json"]
    for path in paths:
        path.parent.mkdir(exist_ok=True)
        path.write_text("{}")
    names = [name for _, name in find_files(paths)]
    assert len(set(names)) == 3


@pytest.mark.parametrize("what", ["nowhere.json", "empty"])
def test_a_name_that_leads_nowhere_is_refused_in_one_line(tmp_path: Path, what: str) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(InvalidFile, match=rf"^[^\n]*{what}: (no such file|an empty folder)[^\n]*$"):
        find_files([tmp_path / what])


@pytest.mark.parametrize("above", ["run", ".", "deep/er/run"])
def test_a_stored_run_is_refused_with_what_to_do_in_its_place(tmp_path: Path, above: str) -> None:
    run = tmp_path / "results" / above
    for name in ("campaign.json", "observations/part-0.parquet", "raw/a.json"):
        (run / name).parent.mkdir(parents=True, exist_ok=True)
        (run / name).write_text("{}")
    with pytest.raises(InvalidFile, match=r"a stored run in a folder of results[^\n]*--probes FILE$") as caught:
        find_files([run / "raw" / "a.json", tmp_path / "results"])
    assert f"name {run} itself to merge it" in str(caught.value)
    assert f"name {run / 'raw'} with" in str(caught.value)
    assert [name for _, name in find_files([run / "raw"])] == ["a.json"]


def test_files_are_told_apart_in_the_order_of_their_names(tmp_path: Path) -> None:
    for name in ("b", "a"):
        (tmp_path / name).write_text("{}")
    files, unusable = sniff_files([(tmp_path / "b", "b"), (tmp_path / "a", "a")])
    assert ([file.name for file in files], unusable) == (["a", "b"], [])


def test_unusable_files_are_set_aside_while_others_remain(tmp_path: Path) -> None:
    for name, content in {"empty": b"", "damaged": b"\x1f\x8bx", "good": b"{}"}.items():
        (tmp_path / name).write_bytes(content)
    files, unusable = sniff_files(find_files([tmp_path]))
    assert [file.name for file in files] == ["good"]
    assert [(entry.file, entry.record) for entry in unusable] == [("damaged", 0), ("empty", 0)]
    assert not any(str(tmp_path) in entry.reason for entry in unusable)


def test_one_unusable_file_alone_is_refused_with_its_path(tmp_path: Path) -> None:
    (tmp_path / "empty").touch()
    with pytest.raises(InvalidFile, match=rf"^{tmp_path}/empty: holds no results"):
        sniff_files([(tmp_path / "empty", "empty")])


def test_unusable_files_alone_are_refused_together(tmp_path: Path) -> None:
    for name in ("a", "b"):
        (tmp_path / name).touch()
    with pytest.raises(InvalidFile, match=r"^none of the 2 files holds results; a: holds no results[^\n]*$"):
        sniff_files(find_files([tmp_path]))
