"""What can go wrong, by who can mend it. Every message is one line and says what to do next."""

from collections.abc import Sequence
from pathlib import Path


class _Wish:
    """A flag without a lock: signal handlers set it, one in the midst of another, and threading.Event would wait."""

    def __init__(self) -> None:
        self._is_set = False

    def set(self) -> None:
        self._is_set = True

    def clear(self) -> None:
        self._is_set = False

    def is_set(self) -> bool:
        return self._is_set


asked_to_stop = _Wish()
"""Set when the user pressed Ctrl-C: C code in the middle of something turns that into errors of its own."""


class CatchmentError(Exception):
    """A problem that the user can act on; the command line prints it as one line and exits with 1."""


class InvalidFile(CatchmentError):
    """A campaign, service, probe or result file cannot be used as it is: mend the file, or name another."""


class UnknownName(CatchmentError):
    """A service, site, run or target was named that does not exist: choose one of those listed."""


class InvalidRun(CatchmentError):
    """A stored run is missing, incomplete or already there: name another, or make it anew."""


class PlatformFailed(CatchmentError):
    """A platform could not be reached, or refused: mend the key, the campaign or the network, then go on."""


class Interrupted(CatchmentError):
    """The user stopped a run that can be gone on with; `run` is its folder, if its measurements go on meanwhile."""

    def __init__(self, message: str, run: Path | None = None) -> None:
        super().__init__(message)
        self.run = run


def hint(name: str, known: Sequence[str], otherwise: str, *, cutoff: float = 0.6) -> str:
    """Return the question whether the nearest known name was meant, or what to say where none is near."""
    import difflib  # noqa: PLC0415  (only who errs waits for it)

    near = difflib.get_close_matches(name, known, n=1, cutoff=cutoff)
    return f"did you mean '{near[0]}'?" if near else otherwise
