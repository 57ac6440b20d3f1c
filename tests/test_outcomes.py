"""What answers come to: two identities in one reply, and answers in a class that nobody asked for."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from catchment.store import Run
from tests.atlas_results import NOON, dns_result, place

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
