from __future__ import annotations

import pytest

from tests.namespaces import needs_namespaces


def test_what_a_machine_lacks_is_named_and_skipped_and_in_ci_it_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    lacking = "no zebra-of-the-test on this machine"
    monkeypatch.delenv("CI", raising=False)
    with pytest.raises(pytest.skip.Exception, match=lacking):
        needs_namespaces("zebra-of-the-test")
    monkeypatch.setenv("CI", "true")
    with pytest.raises(pytest.fail.Exception, match=f"CI must have what the lab needs: {lacking}"):
        needs_namespaces("zebra-of-the-test")
