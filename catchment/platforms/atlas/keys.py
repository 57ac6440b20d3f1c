"""API keys of RIPE Atlas: what they may be allowed to do, and which of a user's serves what."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from enum import Enum, StrEnum

KEYS_PAGE = "https://atlas.ripe.net/keys/"


class Permission(StrEnum):
    """What a key may be allowed to do, by the name that users see where they make keys."""

    CREATE = "Schedule a new measurement"
    STOP = "Stop a measurement"
    LIST = "List your measurements"
    RESULTS = "Download results of a measurement"
    CREDITS = "Get information about your credits"


class Use(Enum):
    """What some keep a key of its own for."""

    CREATE = "create"
    STOP = "stop"
    FETCH = "fetch"


EVERY_USE = tuple(Use)


@dataclass(frozen=True, slots=True, kw_only=True)
class Key:
    """A key and the name of the place it was found in; only the place may be shown."""

    value: str = field(repr=False)
    source: str

    @property
    def can_be_sent(self) -> bool:
        """Tell whether it can stand in a header of HTTP. Libraries show in their messages what cannot."""
        return bool(self.value) and all("!" <= char <= "~" for char in self.value)


@dataclass(frozen=True, slots=True, kw_only=True)
class Keys:
    """The keys of a user: to create measurements, to read what is not public, and where there is one, to stop.

    `warnings` are what is wrong with the files in which they were sought.
    """

    create: Key | None = None
    fetch: Key | None = None
    stop: Key | None = None
    warnings: tuple[str, ...] = ()

    def __iter__(self) -> Iterator[Key]:
        return (key for key in (self.create, self.fetch, self.stop) if key is not None)

    def serving(self, permission: Permission) -> Key | None:
        """Return the key for what needs this permission; None where there is none."""
        match permission:
            case Permission.CREATE:
                return self.create
            case Permission.STOP:
                return self.stop or self.create
            case _:
                return self.fetch or self.create
