"""A client of the sandbox's API without sockets, for tests of what the API answers."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from typing import Any
from urllib.parse import urlencode, urlsplit

from catchment.model import Kind
from catchment.platforms.sandbox.api.endpoints import Api
from catchment.platforms.sandbox.api.exchange import Request, Response
from catchment.platforms.sandbox.api.journal import Journal
from catchment.platforms.sandbox.api.keys import Grant
from catchment.platforms.sandbox.api.ledger import Ledger
from catchment.platforms.sandbox.api.measurements import BuiltInTarget, Lags
from catchment.platforms.sandbox.api.probes import Probes
from catchment.platforms.sandbox.clock import Clock
from tests.fake_internet import KEY, START, V4, FakeInternet, post_body

READ_ONLY = "00000000-0000-4000-8000-00000000000f"
K_ROOT = BuiltInTarget(id=10301, kind=Kind.DNS, af=4, query="hostname.bind", address=V4)
Row = dict[str, Any]
_LAGS = Lags(listing_s=20)


class Client:
    """Asks the API as a client does, without sockets."""

    def __init__(
        self,
        internet: FakeInternet | None = None,
        *,
        lags: Lags = _LAGS,
        built_ins: Sequence[BuiltInTarget] = (K_ROOT,),
        journal: Journal | None = None,
        **account: Any,
    ) -> None:
        self.clock = Clock(START, monotonic=lambda: 0.0)
        internet = internet or FakeInternet()
        probes = Probes(internet.topology, START)
        ledger = Ledger(internet, self.clock, probes, start=START, lags=lags, built_ins=built_ins, journal=journal)
        usual: Row = {"other_keys": {READ_ONLY: {Grant.LIST}}}
        self.api = Api(ledger, probes, self.clock, key=KEY, **usual | account)

    def ask(self, method: str, path: str, body: Any = None, *, key: str | None = None, **parameters: Any) -> Response:
        path, _, query = path.partition("?")
        headers = {"host": "127.0.0.1:8443"} | ({} if key is None else {"authorization": f"Key {key}"})
        content = body if isinstance(body, bytes) else b"" if body is None else json.dumps(body).encode()
        query = urlencode(parameters) or query
        return self.api.respond(
            Request(method=method, path=f"/api/v2/{path}", query=query, headers=headers, body=content)
        )

    def get(self, path: str, *, key: str | None = None, **parameters: Any) -> Any:
        response = self.ask("GET", path, key=key, **parameters)
        assert response.status == 200, response.content()
        return json.loads(response.content())

    def post(self, *definitions: Row, **more: Any) -> list[int]:
        response = self.ask("POST", "measurements/", post_body(*definitions, **more), key=KEY)
        assert response.status == 201, response.content()
        return list(json.loads(response.content())["measurements"])

    def refused(self, method: str, path: str, body: Any = None, *, key: str | None = None, **parameters: Any) -> Row:
        response = self.ask(method, path, body, key=key, **parameters)
        error = json.loads(response.content())["error"]
        assert error["status"] == response.status
        return dict(error)

    def follow(self, path: str, **parameters: Any) -> Iterator[Row]:
        """Yield the pages of a list, following `next` blindly."""
        page = self.get(path, **parameters)
        yield page
        while page["next"] is not None:
            url = urlsplit(page["next"])
            assert (url.scheme, url.netloc) == ("https", "127.0.0.1:8443")
            page = self.get(f"{url.path.removeprefix('/api/v2/')}?{url.query}")
            yield page
