"""What keeps a lab from starting, in one line that says what to do."""

from __future__ import annotations

from pathlib import Path

import pytest

from catchment.platforms.lab.daemons import missing, search_path
from catchment.platforms.lab.starting import why_refused
from tests.small_labs import anycast, two_ends

_REFUSED = "unshare: write failed /proc/self/uid_map: Operation not permitted\n"


@pytest.mark.parametrize(
    ("file", "value", "said"),
    [
        (
            "/proc/sys/kernel/apparmor_restrict_unprivileged_userns",
            "1\n",
            "kernel.apparmor_restrict_unprivileged_userns=1 forbids: "
            "`sudo sysctl kernel.apparmor_restrict_unprivileged_userns=0`",
        ),
        ("/proc/sys/kernel/unprivileged_userns_clone", "0\n", "`sudo sysctl kernel.unprivileged_userns_clone=1`"),
        ("/proc/sys/user/max_user_namespaces", "0\n", "`sudo sysctl user.max_user_namespaces=10000`"),
        ("/proc/sys/user/max_user_namespaces", "96549\n", "in a container allow them (CAP_SYS_ADMIN)"),
    ],
)
def test_refused_namespaces_are_told_by_the_setting_that_forbids_them(file: str, value: str, said: str) -> None:
    complaint = why_refused(_REFUSED, {file: value}.get)
    assert said in complaint
    assert "\n" not in complaint


def test_what_the_first_process_said_last_is_told_where_it_is_not_about_namespaces() -> None:
    complaint = why_refused("Traceback …\nImportError: no module", lambda _: "1")
    assert complaint.startswith("the lab does not start: ImportError: no module")
    assert "it said nothing" in why_refused("", lambda _: None)


def test_programs_that_are_missing_are_named_with_their_packages(tmp_path: Path) -> None:
    path = str(tmp_path)
    assert missing(two_ends(), path) == (
        "a lab needs ip, unshare, setsid, nsenter: "
        "install the packages iproute2 util-linux (so Debian and Ubuntu call them)"
    )
    for program in ("ip", "unshare", "setsid", "nsenter", "nsd", "nsd-checkconf"):
        (tmp_path / program).touch(mode=0o755)
    assert missing(two_ends(), path) is None
    assert missing(anycast(), path) == ("a lab needs bird: install the packages bird2 (so Debian and Ubuntu call them)")


def test_programs_are_looked_for_where_only_root_looks() -> None:
    assert search_path({"PATH": "/mine:"}).split(":")[:3] == ["/mine", "/usr/local/sbin", "/usr/sbin"]
    assert "/sbin" in search_path({}).split(":")
