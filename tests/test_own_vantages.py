from hypothesis import given
from hypothesis import strategies as st

from catchment.campaign.own_vantages import FIRST_NUMBER, LONGEST_NAME, is_own_name, vantage_number
from catchment.platforms.local.vantages import Vantage


@given(st.text())
def test_every_name_has_a_number_above_those_of_atlas_that_javascript_can_hold(name: str) -> None:
    assert FIRST_NUMBER <= vantage_number(name) < 1 << 53


def test_the_number_of_a_name_never_changes() -> None:
    # printf local:myhost | sha256sum begins with f8a8e354c6
    assert vantage_number("local:myhost") == (1 << 47) + 0xF8A8E354C6
    assert Vantage(name="local:myhost").number == vantage_number("local:myhost")


@given(st.from_regex(r"local:[a-z0-9._-]{1,80}|lab:[0-9]{1,80}", fullmatch=True))
def test_names_of_hosts_and_of_a_labs_vantage_points_are_ours_and_not_too_long(name: str) -> None:
    assert is_own_name(name)
    assert len(name) <= LONGEST_NAME


@given(st.text(), st.sampled_from(["", "local:", "lab:", "atlas:"]))
def test_other_texts_are_not_ours(text: str, start: str) -> None:
    host = start == "local:" and 0 < len(text) <= 80 and set(text) <= set("abcdefghijklmnopqrstuvwxyz0123456789._-")
    number = start == "lab:" and 0 < len(text) <= 80 and set(text) <= set("0123456789")
    if not text.startswith(("local:", "lab:")):
        assert is_own_name(start + text) is (host or number)
