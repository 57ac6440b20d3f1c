"""scripts/programs: what the tests of the lab need and the machine lacks, without installing it."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parent.parent / "scripts" / "programs"
PROGRAM = "zebra-of-the-test"
PACKAGE = "Package: zebra\nVersion: 1\nArchitecture: all\nMaintainer: nobody <nobody@example.net>\nDescription: none\n"

# In apt-get's place: notes that it was called, and has the package that lies beside it.
APT = """#!/bin/bash
echo "$*" >> "{folder}/calls"
for word in "$@"; do case "$word" in Dir::Cache=*) cache=${{word#*=}} ;; esac; done
case "$*" in *install*) {install} ;; esac
"""


class Checkout:
    """A checkout with nothing but the script, on a machine whose apt-get is ours."""

    def __init__(self, folder: Path, install: str) -> None:
        self.folder = folder
        self.lab = folder / ".lab"
        (folder / "scripts").mkdir()
        shutil.copy(SCRIPT, folder / "scripts")
        (folder / "bin").mkdir()
        apt = folder / "bin" / "apt-get"
        apt.write_text(APT.format(folder=folder, install=install))
        apt.chmod(0o755)

    def programs(self, *words: str) -> subprocess.CompletedProcess[str]:
        environ = {**os.environ, "PATH": f"{self.folder / 'bin'}:{os.environ['PATH']}"}
        environ.pop("LD_LIBRARY_PATH", None)
        return subprocess.run(
            [self.folder / "scripts" / "programs", *words],
            capture_output=True,
            text=True,
            check=True,
            timeout=100,
            env=environ,
        )

    def calls(self) -> int:
        file = self.folder / "calls"
        return len(file.read_text().splitlines()) if file.exists() else 0


@pytest.fixture
def checkout(tmp_path: Path) -> Checkout:
    dpkg_deb = shutil.which("dpkg-deb")
    if dpkg_deb is None:
        pytest.skip("no dpkg-deb on this machine: it has no packages of Debian's")
    root = tmp_path / "root"
    program = root / "usr" / "sbin" / PROGRAM
    program.parent.mkdir(parents=True)
    program.write_text("#!/bin/sh\necho stripes\n")
    program.chmod(0o755)
    (root / "usr" / "lib" / "one-linux-two").mkdir(parents=True)
    (root / "DEBIAN").mkdir()
    (root / "DEBIAN" / "control").write_text(PACKAGE)
    subprocess.run(
        [dpkg_deb, "--root-owner-group", "--build", root, tmp_path / "zebra.deb"],
        check=True,
        capture_output=True,
        timeout=100,
    )
    return Checkout(tmp_path, f'cp "{tmp_path}/zebra.deb" "$cache/archives/"')


def test_what_the_machine_has_is_used_and_nothing_is_fetched(checkout: Checkout) -> None:
    done = checkout.programs("bash:bash", "cat:coreutils")
    assert (checkout.calls(), checkout.lab.exists(), done.stderr) == (0, False, "")
    assert done.stdout.startswith("export PATH=")
    assert str(checkout.lab) not in done.stdout


def test_what_is_missing_is_unpacked_once_and_found_by_who_evaluates_the_line(checkout: Checkout) -> None:
    done = checkout.programs("bash:bash", f"{PROGRAM}:zebra")
    assert done.stderr == "Unpacking into .lab, once: zebra\n"
    found = subprocess.run(
        ["/bin/bash", "-c", f'{done.stdout.strip()} && {PROGRAM} && echo "$LD_LIBRARY_PATH"'],
        capture_output=True,
        text=True,
        check=True,
        timeout=100,
    )
    assert found.stdout.splitlines() == ["stripes", f"{checkout.lab}/usr/lib/one-linux-two"]
    again = checkout.programs("bash:bash", f"{PROGRAM}:zebra")
    assert (again.stdout, again.stderr, checkout.calls()) == (done.stdout, "", 1)


def test_another_need_is_fetched_anew(checkout: Checkout) -> None:
    checkout.programs(f"{PROGRAM}:zebra")
    checkout.programs(f"{PROGRAM}:zebra", "lion-of-the-test:lion")
    assert checkout.calls() == 2


def test_without_a_network_it_says_what_to_install_and_the_tests_go_on(tmp_path: Path) -> None:
    done = Checkout(tmp_path, "exit 100").programs(f"{PROGRAM}:zebra")
    assert done.stderr.splitlines()[-1].endswith("To install them: apt-get install zebra")
    assert not list(tmp_path.glob(".lab*"))
    assert done.stdout.startswith("export PATH=")
