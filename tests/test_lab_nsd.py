"""What the servers of a lab are told; NSD itself says whether it understands."""

from __future__ import annotations

import string
from pathlib import Path

import dns.zone
import pytest
from hypothesis import given
from hypothesis import strategies as st

from catchment.platforms.lab.nsd import is_writable, nsd_files, zone_name
from tests.lab_programs import told_by
from tests.namespaces import needs_namespaces

ADDRESSES = ("192.0.2.53", "2001:db8:53::53")
ALL = ("hostname.bind", "id.server", "nsid")


def files_of(*answers: str, identity: str = "fra1.example") -> dict[str, str]:
    return nsd_files(identity, answers, {"root.example": ADDRESSES}, ADDRESSES)


def complaint(files: dict[str, str], folder: Path) -> str:
    for name, text in files.items():
        (folder / name).write_text(text)
    return told_by(folder, "nsd-checkconf", "nsd.conf")


def asked(folder: Path, option: str) -> str:
    """Return what NSD takes an option for."""
    return told_by(folder, "nsd-checkconf", "-o", option, "nsd.conf").strip()


@pytest.mark.parametrize(
    "identity",
    ["fra1.example", "x" * 255, "a b # c ; 'd' [e] {f}", "".join(sorted({*string.printable[:94]} - {'"', "\\"}))],
)
def test_nsd_understands_its_file_and_knows_who_it_is(identity: str, tmp_path: Path) -> None:
    needs_namespaces("nsd-checkconf")
    assert is_writable(identity)
    assert complaint(files_of(*ALL, identity=identity), tmp_path) == ""
    assert asked(tmp_path, "identity") == identity
    assert bytes.fromhex(asked(tmp_path, "nsid")) == identity.encode()
    assert asked(tmp_path, "hide_identity") == "no"
    assert asked(tmp_path, "ip_address").split() == list(ADDRESSES)


def test_nsd_would_say_what_it_does_not_understand(tmp_path: Path) -> None:
    needs_namespaces("nsd-checkconf")
    assert complaint({"nsd.conf": files_of(*ALL)["nsd.conf"].replace("identity", "identify")}, tmp_path) != ""


@pytest.mark.parametrize("identity", ["", 'a"b', "a\\b", "a\nb", "ä", "x" * 256, "a\x7f"])
def test_what_cannot_be_written_in_its_file_is_no_identity(identity: str) -> None:
    assert not is_writable(identity)


@pytest.mark.parametrize(
    ("answers", "named", "nsid"),
    [
        (("hostname.bind",), True, False),
        (("id.server", "nsid"), True, True),
        (("nsid",), False, True),
        ((), False, False),
    ],
)
def test_a_server_answers_the_queries_that_its_service_answers(
    answers: tuple[str, ...], named: bool, nsid: bool
) -> None:
    config = files_of(*answers)["nsd.conf"]
    assert f"hide-identity: {'no' if named else 'yes'}" in config
    assert ("nsid:" in config) == nsid


def test_the_zone_holds_the_addresses_of_the_service() -> None:
    zone = dns.zone.from_text(files_of()["root.example.zone"], origin="root.example.")
    for kind, address in (("A", "192.0.2.53"), ("AAAA", "2001:db8:53::53")):
        assert [record.to_text() for record in zone.find_rdataset("ns", kind)] == [address]
    assert zone.find_rdataset("@", "NS")[0].to_text() == "ns"


def test_a_server_of_two_services_has_both_zones(tmp_path: Path) -> None:
    needs_namespaces("nsd-checkconf")
    files = nsd_files("x", ALL, {"a.example": ["192.0.2.1"], "b.example": ["192.0.2.2"]}, ["192.0.2.1", "192.0.2.2"])
    assert set(files) == {"nsd.conf", "a.example.zone", "b.example.zone"}
    assert complaint(files, tmp_path) == ""
    assert asked(tmp_path, "zones").split() == ["a.example", "b.example"]


@pytest.mark.parametrize(
    ("service", "zone"),
    [("k-root", "k-root.example"), ("Ö 2", "2.example"), ("../..", "service.example"), ("a.b c", "a-b-c.example")],
)
def test_a_zone_is_called_after_its_service(service: str, zone: str) -> None:
    assert zone_name(service) == zone


@given(st.text(max_size=300))
def test_any_service_has_a_zone_that_is_a_name_and_no_path(service: str) -> None:
    label, end = zone_name(service).split(".")
    assert end == "example"
    assert 0 < len(label) <= 63
    assert set(label) <= set(string.ascii_lowercase + string.digits + "-")
