"""Campaigns against each fault of the sandbox, and some mixtures: a short version of benchmarks/faults.py."""

from __future__ import annotations

import pytest

from benchmarks.fault_trials import LESS, REFUSED, End, Held, hold, mixtures, prepare
from catchment.platforms.sandbox import FAULTS
from catchment.platforms.sandbox.api.faults import ResultFault

_SPOILING = [name for name, fault in FAULTS.items() if isinstance(fault, ResultFault)]
# What differs in a number only is tried at once; benchmarks/faults.py tries each by itself.
_ALIKE = ["lost-answer-500", "lost-answer-502"], ["error-500", "error-502", "error-503", "error-504"]
_OTHERS = [name for name in FAULTS if name not in {*_SPOILING, *REFUSED, *LESS, *_ALIKE[0], *_ALIKE[1]}]
_DERIVED = {"results-twice", "results-out-of-order", "stream-reset"}


@pytest.fixture(scope="module")
def held(tmp_path_factory: pytest.TempPathFactory) -> Held:
    return prepare(tmp_path_factory.mktemp("faults"), ["once"])


@pytest.mark.parametrize("names", [*([name] for name in _OTHERS), *_ALIKE], ids="+".join)
def test_a_campaign_gets_through(held: Held, names: list[str]) -> None:
    # Tables are made of what is stored, and are the same where that is: a few are enough.
    outcome = hold(held, names, is_derived=names[0] in _DERIVED)
    assert (outcome.wrong, outcome.end) == ((), End.RUN)


@pytest.mark.parametrize("name", sorted(REFUSED))
def test_what_cannot_be_ends_in_a_line_that_says_what_to_do(held: Held, name: str) -> None:
    outcome = hold(held, [name])
    assert (outcome.wrong, outcome.end) == ((), End.LINE)


@pytest.mark.parametrize("name", sorted(LESS))
def test_less_than_was_asked_for_ends_in_a_line_or_in_a_run_that_says_so(held: Held, name: str) -> None:
    assert hold(held, [name], is_derived=False).wrong == ()


@pytest.mark.parametrize("number", range(3))
def test_spoilt_results_are_kept_as_they_came(held: Held, number: int) -> None:
    outcome = hold(held, _SPOILING[number::3], campaign="rounds")
    assert (outcome.wrong, outcome.end) == ((), End.RUN)


@pytest.mark.parametrize("campaign", ["once", "rounds", "reused"])
@pytest.mark.parametrize("names", list(mixtures(2, seed=5)), ids="+".join)
def test_a_mixture_of_faults_does_no_harm(held: Held, campaign: str, names: tuple[str, ...]) -> None:
    assert hold(held, names, seed=5, campaign=campaign, is_derived=False).wrong == ()
