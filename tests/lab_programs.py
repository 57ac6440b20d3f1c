"""BIRD's and NSD's own judgement of their configuration, for tests of what a lab writes."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

# Debian keeps them where only root looks.
_PATH = os.pathsep.join([os.environ.get("PATH", os.defpath), "/usr/sbin", "/sbin"])


def told_by(folder: Path, program: str, *words: str) -> str:
    """Run a program in a folder and return all that it prints, and its exit code where that is not 0."""
    found = shutil.which(program, path=_PATH) or program
    done = subprocess.run([found, *words], cwd=folder, capture_output=True, text=True, timeout=60, check=False)
    return done.stdout + done.stderr + ("" if done.returncode == 0 else f"exit {done.returncode}")
