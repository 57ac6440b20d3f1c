"""What answers come to: two identities in one reply, and answers in a class that nobody asked for."""

from __future__ import annotations

import datetime
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from catchment.campaign import service_to_toml
from catchment.model import Address, Pattern, Service
from catchment.store import Run
from tests.atlas_results import NOON, TARGET, dns_result, place

Import = Callable[..., Run]
FRA, BER, FOREIGN = "fra1.example-dns.net", "ber1.example-dns.net", "resolver.isp.example"


def row(run: Run) -> dict[str, Any]:
    (found,) = run.assignments.to_dicts()
    return dict(found)


def test_two_identities_that_agree_are_counted(import_lines: Import) -> None:
    found = row(import_lines(dns_result(1, FRA, nsid=b"fra2.example-dns.net")))
    assert (found["site"], found["witnesses_agree"], found["witnesses_disagree"]) == ("fra", 1, 0)
    assert found["confidence"] == "high"


def test_two_identities_that_disagree_are_counted_and_trusted_less(import_lines: Import) -> None:
    run = import_lines(dns_result(1, FRA, nsid=BER.encode()), probes=[place(1)])
    found = row(run)
    assert (found["site"], found["witnesses_agree"], found["witnesses_disagree"]) == ("fra", 0, 1)
    assert (found["verdict"], found["confidence"]) == ("ok", "medium")
    assert [(entry["witness"], entry["site"], entry["said"]) for entry in run.evidence.to_dicts()] == [
        ("second-identity", "ber", BER)
    ]


@pytest.mark.parametrize(
    ("text", "nsid", "disagree"),
    [
        (FOREIGN, FRA.encode(), 1),
        (FRA, FOREIGN.encode(), 1),
        # What matches a pattern and names no known site contradicts nobody.
        ("muc1.example-dns.net", FRA.encode(), 0),
    ],
)
def test_of_two_identities_the_one_that_names_a_site_speaks(
    import_lines: Import, text: str, nsid: bytes, disagree: int
) -> None:
    found = row(import_lines(dns_result(1, text, nsid=nsid)))
    assert (found["verdict"], found["site"], found["identity"]) == ("ok", "fra", FRA)
    assert (found["witnesses_agree"], found["witnesses_disagree"]) == (0, disagree)


def test_one_identity_is_no_second_witness(import_lines: Import) -> None:
    found = row(import_lines(dns_result(1, FRA)))
    assert (found["witnesses_agree"], found["witnesses_disagree"], found["confidence"]) == (0, 0, "high")


def test_an_answer_in_another_class_than_the_question_s_was_given_by_somebody_else(import_lines: Import) -> None:
    found = row(import_lines(dns_result(1, FRA, answer_class="IN")))
    assert (found["verdict"], found["rule"]) == ("intercepted-foreign-identity", "class-mismatch")
    assert (found["site"], found["identity"], found["foreign_identity"]) == (None, FRA, 1)


def test_answers_in_the_right_class_beat_fewer_in_the_wrong_one(import_lines: Import) -> None:
    answers = [dns_result(1, FRA, timestamp=NOON + turn) for turn in range(2)]
    found = row(import_lines(*answers, dns_result(1, FRA, answer_class="IN", timestamp=NOON + 9)))
    assert (found["verdict"], found["identified"], found["foreign_identity"]) == ("ok", 2, 1)


DAY = datetime.datetime.fromtimestamp(NOON, datetime.UTC).date()
PATTERN = r"^(?P<site>[a-z]{3})\d\.own\.example$"


@pytest.fixture
def own_service(tmp_path: Path) -> Callable[..., str]:
    """Return a function that writes a service file."""

    def write(pattern: Pattern, since: datetime.date | None = None) -> str:
        service = Service(
            name="own",
            operator="we",
            addresses=(Address(address=TARGET),),
            answers=("hostname.bind",),
            answers_since=since,
            patterns=(pattern,),
            open_list=True,
        )
        file = tmp_path / "own.toml"
        file.write_text(service_to_toml(service), encoding="utf-8")
        return str(file)

    return write


@pytest.mark.parametrize(
    ("days", "verdict"),
    [(None, "intercepted-error"), (0, "intercepted-error"), (-1, "intercepted-error"), (1, "no-identity")],
)
def test_a_promise_accuses_nobody_before_the_day_since_which_it_is_known(
    import_lines: Import, own_service: Callable[..., str], days: int | None, verdict: str
) -> None:
    since = None if days is None else DAY + datetime.timedelta(days=days)
    service = own_service(Pattern(regex=PATTERN, codes="iata"), since)
    found = row(import_lines(dns_result(1, None, rcode="REFUSED"), service=service))
    assert (found["verdict"], found["errors"]) == (verdict, 1)


def test_a_window_that_begins_before_a_promise_is_not_judged_by_it(
    import_lines: Import, own_service: Callable[..., str]
) -> None:
    answers = [dns_result(1, None, timestamp=NOON + turn * 86_400) for turn in range(3)]
    service = own_service(Pattern(regex=PATTERN, codes="iata"), DAY + datetime.timedelta(days=1))
    found = row(import_lines(*answers, service=service))
    assert (found["verdict"], found["empty"]) == ("no-identity", 3)


def test_one_text_is_the_service_s_own_in_nsid_and_somebody_else_s_elsewhere(
    import_lines: Import, own_service: Callable[..., str]
) -> None:
    service = own_service(Pattern(regex=PATTERN, codes="iata", of=("nsid",)))
    text = "fra1.own.example"
    found = row(import_lines(dns_result(1, text), service=service))
    assert (found["verdict"], found["rule"]) == ("intercepted-foreign-identity", "no-pattern-matches")
    found = row(import_lines(dns_result(1, text, nsid=text.encode()), service=service))
    assert (found["verdict"], found["site"], found["witnesses_disagree"]) == ("ok", "fra", 1)


def test_a_query_that_only_a_pattern_names_is_read(import_lines: Import, own_service: Callable[..., str]) -> None:
    service = own_service(Pattern(regex=PATTERN, codes="iata", of=("where.own.example",)))
    found = row(import_lines(dns_result(1, "fra1.own.example", query="where.own.example"), service=service))
    assert (found["verdict"], found["site"]) == ("ok", "fra")
