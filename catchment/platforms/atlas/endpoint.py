"""Where the API is, and what is shown to it."""

from __future__ import annotations

import ipaddress
import re
import ssl
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from catchment.errors import PlatformFailed
from catchment.platforms.atlas import failures
from catchment.platforms.atlas.keys import KEYS_PAGE, Keys


@dataclass(frozen=True, slots=True, kw_only=True)
class Endpoint:
    """Where the API is: host (and port), what to trust (True: the usual authorities, or a PEM file), and the keys.

    Raises PlatformFailed where a server or a key cannot be one.
    """

    server: str = "atlas.ripe.net"
    verify: str | bool = True
    keys: Keys = field(default_factory=Keys)

    def __post_init__(self) -> None:
        if not re.fullmatch(r"([A-Za-z0-9._-]+|\[[0-9A-Fa-f:]+\])(:\d{1,5})?", self.server):
            raise PlatformFailed(f"'{failures.clean(self.server)}' is no server: give it as host or host:port")
        if isinstance(self.verify, str):
            try:
                ssl.create_default_context(cafile=self.verify)
            except OSError as error:
                raise PlatformFailed(f"{self.verify}: no file of certificates that can be read: {error}") from error
        for key in self.keys:
            if not key.can_be_sent:
                raise PlatformFailed(
                    f"the key of {key.source} is empty, or holds characters that no key has: copy it anew from "
                    f"{KEYS_PAGE}"
                )

    @property
    def is_loopback(self) -> bool:
        """Tell whether the server is this host, which no proxy can reach."""
        host = urlsplit(f"//{self.server}").hostname or ""
        try:
            return ipaddress.ip_address(host).is_loopback
        except ValueError:
            return host == "localhost"
