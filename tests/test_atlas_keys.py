"""Keys are found where users of other tools keep them, and shown nowhere."""

from __future__ import annotations

import os
from pathlib import Path

import hypothesis.strategies as st
import pytest
from hypothesis import example, given

from catchment.platforms.atlas.hiding import Hiding
from catchment.platforms.atlas.key_sources import VARIABLES, find_keys
from catchment.platforms.atlas.keys import Key, Keys, Permission

KEY = "1b2c3d4e-0000-4000-8000-5f6a7b8c9d0e"
TOOLS = ".config/ripe-atlas-tools/rc"
BLAEU = ".atlas/auth"
GOAT = ".config/goat.ini"
KELTIA = ".config/ripe-atlas/config.toml"
FILES = {
    TOOLS: "authorisation:\n  create: tools-create\n  fetch: tools-fetch\n  fetch_aliases: {work: tools-work}\n",
    BLAEU: "blaeu-key\nsecond line\n",
    GOAT: (
        'apibase = ""\n# comment\n[apikeys]\nlist_measurements = "goat-list"\ncreate_measurements = goat-create ; my\n'
        'stop_measurements = "goat-stop"\nupdate_measurements = ""\nlonely\n[probespec]\nprobecc = ""\n'
    ),
    KELTIA: 'API_key = "keltia-key"\nDefaultProbe = 6019\nWantAF = "64"\n',
}


def put(home: Path, name: str, content: str | bytes, mode: int = 0o600) -> Path:
    file = home / name
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(content.encode() if isinstance(content, str) else content)
    file.chmod(mode)
    return file


def found(keys: Keys) -> dict[str, tuple[str, str] | None]:
    """Return value and source of the key for each use."""
    table = {"create": Permission.CREATE, "fetch": Permission.CREDITS, "stop": Permission.STOP}
    serving = {use: keys.serving(permission) for use, permission in table.items()}
    return {use: None if key is None else (key.value, key.source) for use, key in serving.items()}


def test_sources_are_asked_in_the_order_that_users_expect(tmp_path: Path) -> None:
    for name, text in FILES.items():
        put(tmp_path, name, text)
    environ = {name: f" {name.lower()}\n" for name in VARIABLES}
    assert found(find_keys(environ, given="mine", home=tmp_path)) == dict.fromkeys(
        ("create", "fetch", "stop"), ("mine", "--key")
    )
    pairs = []
    for name in VARIABLES:
        keys = found(find_keys(environ, home=tmp_path))
        pairs.append((keys["create"], keys["fetch"]))
        environ[name] = ""
    create, fetch = ("atlas_create_key", "ATLAS_CREATE_KEY"), ("atlas_fetch_key", "ATLAS_FETCH_KEY")
    blaeu, other, cousteau = ((name.lower(), name) for name in ("ATLASAUTH", "RIPE_ATLAS_API_KEY", "ATLAS_API_KEY"))
    assert pairs == [(create, fetch), (blaeu, fetch), (blaeu, blaeu), (other, other), (cousteau, cousteau)]
    seen = []
    for name in FILES:
        keys = found(find_keys({}, home=tmp_path))
        seen.append([keys[use] for use in ("create", "fetch", "stop")])
        (tmp_path / name).unlink()
    assert [[key and key[0] for key in three] for three in seen] == [
        ["tools-create", "tools-fetch", "tools-create"],
        ["blaeu-key", "blaeu-key", "blaeu-key"],
        ["goat-create", "goat-list", "goat-stop"],
        ["keltia-key", "keltia-key", "keltia-key"],
    ]
    assert [three[0] and three[0][1] for three in seen] == [
        "~/.config/ripe-atlas-tools/rc (create)",
        "~/.atlas/auth",
        "~/.config/goat.ini (create_measurements)",
        "~/.config/ripe-atlas/config.toml (API_key)",
    ]
    assert find_keys({}, home=tmp_path) == Keys()


def test_each_use_has_the_first_key_that_can_serve_it(tmp_path: Path) -> None:
    put(tmp_path, GOAT, "[apikeys]\nstop_measurements = goat-stop\n")
    put(tmp_path, KELTIA, FILES[KELTIA])
    keys = found(find_keys({"ATLAS_FETCH_KEY": "fetching"}, home=tmp_path))
    assert {use: key and key[0] for use, key in keys.items()} == {
        "create": "keltia-key",
        "fetch": "fetching",
        "stop": "goat-stop",
    }
    assert found(find_keys({"ATLAS_CREATE_KEY": "creating"}))["fetch"] == ("creating", "ATLAS_CREATE_KEY")
    assert found(find_keys({"ATLAS_FETCH_KEY": "fetching"}))["create"] is None


def test_a_name_of_ripe_atlas_tools_stands_for_its_key_to_read_with(tmp_path: Path) -> None:
    put(tmp_path, TOOLS, FILES[TOOLS])
    keys = found(find_keys({}, given="work", home=tmp_path))
    assert keys["fetch"] == ("tools-work", "~/.config/ripe-atlas-tools/rc (fetch_aliases.work)")
    assert keys["create"] == ("tools-create", "~/.config/ripe-atlas-tools/rc (create)")
    assert found(find_keys({}, given="other", home=tmp_path))["fetch"] == ("other", "--key")


def test_no_file_is_read_where_no_home_is_given(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    put(tmp_path, BLAEU, FILES[BLAEU])
    monkeypatch.setenv("HOME", str(tmp_path))
    assert find_keys({"HOME": str(tmp_path)}) == Keys()
    assert found(find_keys({}, home=tmp_path))["create"] == ("blaeu-key", "~/.atlas/auth")


def test_ripe_atlas_tools_are_sought_where_xdg_says(tmp_path: Path) -> None:
    put(tmp_path / "elsewhere", "ripe-atlas-tools/rc", FILES[TOOLS])
    environ, home = {"XDG_CONFIG_HOME": str(tmp_path / "elsewhere")}, tmp_path / "home"
    assert found(find_keys(environ, home=home))["create"] == (
        "tools-create",
        f"{tmp_path}/elsewhere/ripe-atlas-tools/rc (create)",
    )
    assert find_keys({"XDG_CONFIG_HOME": "elsewhere"}, home=home) == Keys()


@pytest.mark.parametrize(
    ("name", "content"),
    [
        *((name, b"\xff\xfe\x00secret-text") for name in FILES),
        *((name, b"secret-text = 1\n" * 20_000) for name in FILES),
        *((name, b"{[secret-text") for name in (TOOLS, KELTIA)),
        (GOAT, b"[apikeys]\n= secret-text"),
        (TOOLS, b"!!timestamp secret-text"),  # PyYAML trips over its own feet
        (TOOLS, b"[" * 5000 + b"secret-text"),
    ],
)
def test_a_broken_file_is_named_and_passed_over_and_never_shown(tmp_path: Path, name: str, content: bytes) -> None:
    put(tmp_path, name, content)
    keys = find_keys({}, home=tmp_path)
    assert (keys.create, keys.fetch, keys.stop) == (None, None, None)
    (warning,) = keys.warnings
    assert warning.startswith(f"~/{name}: passed over in the search for a key, because ")
    assert "secret-text" not in repr(keys)


def test_after_a_broken_file_the_next_is_read(tmp_path: Path) -> None:
    put(tmp_path, TOOLS, "{")
    put(tmp_path, KELTIA, FILES[KELTIA])
    keys = find_keys({}, home=tmp_path)
    assert found(keys)["create"] == ("keltia-key", "~/.config/ripe-atlas/config.toml (API_key)")
    assert len(keys.warnings) == 1


@pytest.mark.parametrize(
    ("name", "content"),
    [
        (TOOLS, "- a\n- list\n"),
        (TOOLS, "authorisation: secret-text\n"),
        (TOOLS, "authorisation: [secret-text]\n"),
        (TOOLS, "authorisation: {create: 12345678}\n"),
        (TOOLS, "authorisation: {create: !!python/object/apply:os.system [secret-text]}\n"),
        (TOOLS, "authorisation: {create: 'two words'}\n"),
        (BLAEU, "kĺuč secret-text\n"),
        (GOAT, "[apikeys]\ncreate_measurements = two words\n"),
        (KELTIA, "API_key = 12345678\n"),
        (KELTIA, "API_key = [\n"),
    ],
)
def test_what_is_no_key_is_warned_about(tmp_path: Path, name: str, content: str) -> None:
    put(tmp_path, name, content)
    keys = find_keys({}, home=tmp_path)
    assert (keys.create, keys.fetch, keys.stop) == (None, None, None)
    assert len(keys.warnings) == 1
    assert f"~/{name}" in keys.warnings[0]
    assert not any(word in keys.warnings[0] for word in ("secret-text", "12345678", "two words"))


@pytest.mark.parametrize(
    "content", ["", "\n", "# nothing\n", "authorisation:\n", "authorisation: {create: '', fetch:}\n"]
)
def test_a_file_of_ripe_atlas_tools_may_hold_no_key(tmp_path: Path, content: str) -> None:
    put(tmp_path, TOOLS, content)
    assert find_keys({}, home=tmp_path) == Keys()


@given(content=st.binary(max_size=300))
def test_whatever_stands_in_the_files_nothing_crashes(content: bytes, tmp_path_factory: pytest.TempPathFactory) -> None:
    home = tmp_path_factory.mktemp("home")
    for name in FILES:
        put(home, name, content)
    for key in find_keys({}, home=home):
        assert key.can_be_sent


@given(content=st.text(alphabet="[]{}:=!&*-#'\"\n atimes\\0123456789", max_size=60))
def test_whatever_is_nearly_settings_nothing_crashes(content: str, tmp_path_factory: pytest.TempPathFactory) -> None:
    home = tmp_path_factory.mktemp("home")
    put(home, TOOLS, "authorisation: " + content)
    put(home, GOAT, "[apikeys]\n" + content)
    put(home, KELTIA, "API_key = " + content)
    for key in find_keys({}, home=home):
        assert key.can_be_sent


def test_what_is_no_file_keeps_nobody_waiting(tmp_path: Path) -> None:
    (tmp_path / BLAEU).parent.mkdir()
    os.mkfifo(tmp_path / BLAEU)
    (tmp_path / GOAT).mkdir(parents=True)
    (tmp_path / ".config/ripe-atlas").write_text("a file where a folder should be")
    keys = find_keys({}, home=tmp_path)
    assert [warning.split(": ")[0] for warning in keys.warnings] == ["~/.atlas/auth", "~/.config/goat.ini"]


def test_a_file_that_cannot_be_read_is_warned_about(tmp_path: Path) -> None:
    (tmp_path / ".atlas").mkdir()
    (tmp_path / BLAEU).symlink_to(tmp_path / BLAEU)
    (warning,) = find_keys({}, home=tmp_path).warnings
    assert warning.startswith("~/.atlas/auth: passed over in the search for a key, because it cannot be read (Too many")


def test_a_key_that_everybody_can_read_is_warned_about_and_used(tmp_path: Path) -> None:
    put(tmp_path, BLAEU, FILES[BLAEU], mode=0o644)
    keys = find_keys({}, home=tmp_path)
    assert keys.create == Key(value="blaeu-key", source="~/.atlas/auth")
    assert keys.warnings == ("~/.atlas/auth: everybody on this host can read the key in it: `chmod 600 ~/.atlas/auth`",)
    put(tmp_path, BLAEU, "\n", mode=0o644)
    assert find_keys({}, home=tmp_path).warnings == ()


def test_files_are_not_read_where_the_environment_has_all(tmp_path: Path) -> None:
    put(tmp_path, TOOLS, "{", mode=0o644)
    assert find_keys({"ATLASAUTH": "mine"}, home=tmp_path).warnings == ()
    assert len(find_keys({"ATLAS_CREATE_KEY": "mine"}, home=tmp_path).warnings) == 1


def test_no_key_is_in_any_text_about_keys() -> None:
    keys = find_keys({"ATLAS_CREATE_KEY": KEY, "ATLAS_FETCH_KEY": KEY})
    assert KEY not in f"{keys} {keys!r} {keys.create} {list(keys)}"


FORMS = {
    "plain": KEY,
    "upper": KEY.upper(),
    "first half": KEY[:18],
    "second half": KEY[18:],
    "without hyphens": KEY.replace("-", ""),
    "percent": KEY.replace("-", "%2D"),
}


@pytest.mark.parametrize("form", FORMS.values(), ids=FORMS)
def test_a_key_is_hidden_in_every_form_in_which_it_may_come_back(form: str) -> None:
    hide = Hiding([KEY])
    assert hide(f"before {form} after") == "before (key) after"
    assert hide.may_be_in(f"before {form} after")


def test_a_short_secret_is_hidden_as_a_whole() -> None:
    assert Hiding(["short", ""])("a SHORT shor") == "a (key) shor"
    assert not Hiding(["short", ""]).may_be_in("shor")


@given(text=st.text(), start=st.integers(0, 28), end=st.integers(8, 36))
@example(text="%", start=0, end=8)
def test_eight_characters_of_a_key_are_never_left(text: str, start: int, end: int) -> None:
    hidden = Hiding([KEY])(text + KEY[start : max(end, start + 8)] + text).lower()
    assert not any(KEY[first : first + 8] in hidden for first in range(29))


@given(st.text())
def test_other_texts_are_left_as_they_are(text: str) -> None:
    assert Hiding([KEY])(text) == text
    assert Hiding([])(text + KEY) == text + KEY


def test_json_is_cleaned_in_its_depth() -> None:
    found = {"a": [1, None, {f"x{KEY}": f"{KEY}!"}], "b": 1.5}
    assert Hiding([KEY]).from_json(found) == {"a": [1, None, {"x(key)": "(key)!"}], "b": 1.5}
