"""The API keys of the account: what each is allowed, and how the API describes it. No answer holds a key itself."""

from __future__ import annotations

import hashlib
import hmac
import uuid
from collections.abc import Collection, Mapping
from enum import StrEnum
from http import HTTPStatus
from typing import Any

from catchment.platforms.sandbox.api.exchange import Refusal

_NO_KEY = "Authentication credentials were not provided."
_UNKNOWN = "The provided API key does not exist"
_NOT_GRANTED = "You do not have permission to perform this action."


class Grant(StrEnum):
    """What a key may be allowed to do."""

    CREATE = "create_measurements"
    LIST = "list_measurements"
    UPDATE = "update_measurements"
    STOP = "stop_measurements"
    RESULTS = "download_results"
    CREDITS = "read_credits"


_TITLES = {
    Grant.CREATE: "Schedule a new measurement",
    Grant.LIST: "List your measurements",
    Grant.UPDATE: "Update an existing measurement",
    Grant.STOP: "Stop a measurement",
    Grant.RESULTS: "Download results of a measurement",
    Grant.CREDITS: "Get information about your credits",
}


class Keys:
    """The keys of one account, each with what it is granted."""

    def __init__(self, grants: Mapping[str, Collection[Grant]], *, since: float) -> None:
        self._grants = grants
        self._since = since

    def check(self, given: str | None, grant: Grant | None = None) -> None:
        """Raise Refusal unless a key is known and allows this (None: whatever a key of the account may)."""
        if not given:
            raise Refusal(HTTPStatus.UNAUTHORIZED, _NO_KEY)
        granted: Collection[Grant] | None = None
        for key, grants in self._grants.items():
            if hmac.compare_digest(key.encode(), given.encode("utf-8", "replace")):
                granted = grants
        if granted is None:
            raise Refusal(HTTPStatus.UNAUTHORIZED, _UNKNOWN)
        if grant is not None and grant not in granted:
            raise Refusal(HTTPStatus.FORBIDDEN, _NOT_GRANTED)

    def knows(self, given: str | None) -> bool:
        """Tell whether a key is one of the account's."""
        try:
            self.check(given)
        except Refusal:
            return False
        return True

    def objects(self) -> list[dict[str, Any]]:
        """Return the keys as GET /keys/ lists them. A `uuid` here is a name made from the key, not the key."""
        return [
            {
                "uuid": str(uuid.UUID(bytes=hashlib.blake2b(key.encode(), digest_size=16).digest())),
                "label": f"key {number} of the sandbox",
                "enabled": True,
                "is_active": True,
                "created_at": int(self._since),
                "valid_from": None,
                "valid_to": None,
                "type": "user",
                "grants": [{"permission": grant.value, "target": None} for grant in Grant if grant in grants],
            }
            for number, (key, grants) in enumerate(self._grants.items(), start=1)
        ]


def permissions() -> list[dict[str, Any]]:
    """Return what GET /keys/permissions/ lists: all that a key can be allowed."""
    return [{"id": grant.value, "title": title} for grant, title in _TITLES.items()]


def forbidden() -> Refusal:
    """Return the refusal of what nobody's key allows."""
    return Refusal(HTTPStatus.FORBIDDEN, _NOT_GRANTED)
