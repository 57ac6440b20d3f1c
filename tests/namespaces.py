"""For tests with real packets: whether this machine has the programs, and lets us have network namespaces."""

from __future__ import annotations

import os
import shutil
import subprocess
from functools import cache

import pytest

# As the lab does it: namespaces of their own for mounts, processes and the network, and pairs of cards between them.
_TRIAL = "mount -t tmpfs none /run && ip netns add trial && ip link add one type veth peer name other netns trial"
_PACKAGES = {"bird": "bird2", "ip": "iproute2", "ping": "iputils-ping", "unshare": "util-linux"}


def needs_namespaces(*programs: str) -> None:
    """Skip who calls, by name, where BIRD, NSD, network namespaces or these programs cannot be had; in CI fail."""
    lacking = _lacking(*dict.fromkeys((*programs, "bird", "nsd", "ip", "unshare")))
    if lacking is None:
        return
    if os.environ.get("CI"):
        pytest.fail(f"CI must have what the lab needs: {lacking}")
    pytest.skip(lacking)


@cache
def _lacking(*programs: str) -> str | None:
    # Debian keeps some of them where only root looks.
    path = os.pathsep.join([os.environ.get("PATH", os.defpath), "/usr/sbin", "/sbin"])
    for program in programs:
        if shutil.which(program, path=path) is None:
            return f"no {program} on this machine (apt-get install {_PACKAGES.get(program, program)})"
    words = ["unshare", "-m", "-n"] if os.geteuid() == 0 else ["unshare", "-U", "-r", "-m", "-n"]
    command = [*words, "--pid", "--fork", "--kill-child", "--mount-proc", "sh", "-c", _TRIAL]
    done = subprocess.run(
        command, capture_output=True, text=True, timeout=60, check=False, env={**os.environ, "PATH": path}
    )
    return None if done.returncode == 0 else f"no network namespaces on this machine ({done.stderr.strip()[:200]})"
