import json
from pathlib import Path

import pytest

from catchment.campaign import load_service
from catchment.errors import UnknownName
from catchment.services import bundled_service, find_service, service_names
from tests.conftest import EXAMPLE_SERVICE


@pytest.mark.parametrize("name", service_names())
def test_every_bundled_service_loads_under_its_own_name(name: str) -> None:
    service = bundled_service(name)
    assert service.name == name
    assert service.sources


@pytest.mark.parametrize("name", service_names())
def test_every_published_fact_has_a_source_and_a_date(name: str) -> None:
    parts = " ".join(source.of for source in bundled_service(name).sources)
    assert "addresses" in parts
    assert not bundled_service(name).sites or "sites" in parts


def test_opendns_promises_no_identity() -> None:
    assert bundled_service("opendns").answers == ()


def test_b_root_keeps_its_former_addresses_with_the_day_they_ended() -> None:
    ended = {entry.address: entry.until for entry in bundled_service("b-root").addresses}
    assert ended["199.9.14.201"] is not None
    assert ended["170.247.170.2"] is None


def test_decommissioned_sites_of_k_root_stay_dated() -> None:
    assert any(site.until is not None for site in bundled_service("k-root").sites)


def test_the_lists_agree_with_those_published(recordings: Path) -> None:
    folder = recordings / "sites"
    cloudflare = json.loads((folder / "cloudflare-2026-08.json").read_text())
    assert {site.code for site in bundled_service("cloudflare-ns").sites} == {code.lower() for code in cloudflare}
    for letter in ("k", "b"):
        published = json.loads((folder / f"root-{letter}-2025.json").read_text())["Sites"]
        ours = {text for site in bundled_service(f"{letter}-root").sites for text in site.identities}
        assert ours == {text.lower() for site in published for text in site["Identifiers"]}


def test_a_misspelt_service_names_the_nearest() -> None:
    with pytest.raises(UnknownName, match="did you mean 'k-root'"):
        find_service("k-rot")


def test_an_unknown_service_lists_those_bundled() -> None:
    with pytest.raises(UnknownName, match="bundled are b-root, cloudflare-ns, demo-cdn, demo-dns, k-root, opendns"):
        find_service("zzzzzz")


def test_a_service_may_be_a_file() -> None:
    assert find_service(str(EXAMPLE_SERVICE)) == load_service(EXAMPLE_SERVICE)
