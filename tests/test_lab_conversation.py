"""What goes over a lab's control socket: blueprints there and back, and whatever else may come."""

from __future__ import annotations

import json
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from catchment.platforms.lab.blueprint import Blueprint, Node, Role, StaticRoute, Wire
from catchment.platforms.lab.conversation import as_blueprint, line, message, plain
from tests.small_labs import anycast

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)


def test_a_blueprint_comes_out_as_it_went_in() -> None:
    node = Node(
        name="a.1",
        role=Role.SERVER,
        addresses=("2001:db8::1/128",),
        routes=(StaticRoute(prefix="::/0", via=("2001:db8::2", "2001:db8::3"), source="2001:db8::1"),),
        nsd={"nsd.conf": "é", "x.example.zone": ""},
    )
    whole = Blueprint(
        nodes={**anycast().nodes, "a.1": node},
        wires=(
            *anycast().wires,
            Wire(name="x", near="a.1", far="fra", near_addresses=(), far_addresses=(), delay_ms=0),
        ),
        routers={"10.255.0.1": "as64500"},
    )
    assert as_blueprint(message(line(plain(whole)))) == whole


def test_a_default_route_is_that_of_its_gateways_family() -> None:
    table = plain(anycast())
    table["nodes"]["vp7"]["routes"] = [
        {"prefix": "default", "via": ["198.18.0.1"], "source": None},
        {"prefix": "default", "via": ["2001:db8::1"], "source": None},
    ]
    assert [route.prefix for route in as_blueprint(table).nodes["vp7"].routes] == ["0.0.0.0/0", "::/0"]


@pytest.mark.parametrize(
    ("path", "value", "complaint"),
    [
        (("nodes", "fra", "name"), "ber", "stands under the name 'fra'"),
        (("nodes", "fra", "addresses"), ["192.0.2.53/32\nlink delete w1"], "does not appear to be"),
        (("nodes", "fra", "addresses"), ["192.0.2.53"], "has no prefix length"),
        (("nodes", "vp7", "routes", 0, "prefix"), False, "False is no address"),
        (("nodes", "vp7", "routes", 0, "via"), [3221225985], "3221225985 is no address"),
        (("nodes", "fra", "nsd"), {"../nsd.conf": ""}, "is no file of NSD"),
        (("nodes", "fra", "role"), "judge", "'judge' is not a valid Role"),
        (("wires", 0, "far"), "nowhere", "leads to 'nowhere', which is no node"),
        (("wires", 0, "far"), "vp7", "to itself"),
        (("wires", 0, "name"), "lo", "cannot name a node or a wire"),
        (("wires", 0, "name"), "w1", "two wires have one name"),
        (("wires", 0, "delay_ms"), True, "a delay is from 0"),
        (("wires", 0, "delay_ms"), float("nan"), "a delay is from 0"),
    ],
)
def test_what_cannot_be_built_is_told(path: tuple[str | int, ...], value: object, complaint: str) -> None:
    table: Any = plain(anycast())
    within = table
    for part in path[:-1]:
        within = within[part]
    within[path[-1]] = value
    with pytest.raises(ValueError, match=complaint):
        as_blueprint(table)


@given(JSON)
def test_no_blueprint_is_made_of_anything_else(found: Any) -> None:
    table = found if isinstance(found, dict) else {"nodes": found, "wires": found}
    with suppress(ValueError):
        assert as_blueprint(table) == Blueprint(nodes={}, wires=())


@given(st.data())
def test_a_blueprint_with_anything_in_the_place_of_a_value_is_one_or_is_refused(data: st.DataObject) -> None:
    table: Any = json.loads(line(plain(anycast())))
    within = data.draw(st.sampled_from([*table["nodes"].values(), *table["wires"], table["nodes"]["vp7"]["routes"][0]]))
    within[data.draw(st.sampled_from(sorted(within)))] = data.draw(JSON)
    with suppress(ValueError):
        assert isinstance(as_blueprint(table), Blueprint)


@given(st.binary(max_size=50))
def test_a_line_is_a_message_or_is_refused(text: bytes) -> None:
    with suppress(ValueError):
        assert isinstance(message(text), dict)
