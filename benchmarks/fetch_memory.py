"""Fetch one long stream of results, and tell how much memory it takes and how fast it goes.

    python benchmarks/fetch_memory.py --megabytes 2000

A server on loopback makes DNS results on the fly, over TLS; a process of its own fetches them with `collect` into one
file, as it does with a measurement whose results are not cut into slices: the worst that there is. What is counted is
the process's peak of resident memory since its start, with all that it imported.
"""

from __future__ import annotations

import argparse
import base64
import json
import random
import socket
import ssl
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import trustme

MOST_MB = 300
_NUMBER = 10301
_START = 1_700_000_000
_LINES_AT_ONCE = 200
_SITES = ("nl-ams", "gb-lon", "de-fra", "us-mia", "jp-tyo", "br-sao", "za-jnb", "at-vie")


@dataclass(frozen=True, slots=True, kw_only=True)
class Fetched:
    """What a process that fetched says of itself."""

    results: int
    seconds: float
    peak_mb: float
    file_mb: float


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--megabytes", type=int, default=2000)
    parser.add_argument("--fetch", nargs=2, metavar=("SERVER", "FOLDER"), help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.fetch is not None:
        _fetch(asked.fetch[0], Path(asked.fetch[1]))
        return
    fetched = measure(asked.megabytes)
    print(
        f"{asked.megabytes} MB, {fetched.results:,} results in {fetched.seconds:.1f} s: "
        f"{asked.megabytes / fetched.seconds:.0f} MB/s into a file of {fetched.file_mb:.0f} MB"
    )
    print(f"peak memory {fetched.peak_mb:.0f} MB; it must stay below {MOST_MB} MB")
    sys.exit(fetched.peak_mb >= MOST_MB)


def measure(megabytes: int) -> Fetched:
    """Serve so many results to a process that fetches them, and return what it says."""
    with tempfile.TemporaryDirectory() as folder, _serving(megabytes, Path(folder)) as server:
        done = subprocess.run(
            [sys.executable, __file__, "--fetch", server, folder], check=True, capture_output=True, text=True
        )
        return Fetched(**json.loads(done.stdout))


def _fetch(server: str, folder: Path) -> None:
    from catchment.model import Kind  # noqa: PLC0415  (the server's process needs none of it)
    from catchment.platforms.atlas.client import Atlas, Endpoint  # noqa: PLC0415
    from catchment.platforms.atlas.collecting import collect  # noqa: PLC0415
    from catchment.store import Measurement  # noqa: PLC0415

    measurement = Measurement(
        id=_NUMBER,
        kind=Kind.DNS,
        target="193.0.14.129",
        af=4,
        query="hostname.bind",
        nsid=True,
        probes=None,
        start=_START,
        stop=_START + 240,
        interval_s=240,
        reused=True,
    )
    begun = time.perf_counter()
    with Atlas(Endpoint(server=server, verify=str(folder / "ca.pem")), sleep=time.sleep) as atlas:
        (got,) = collect(atlas, [measurement], folder / "raw", clock=time.time, sleep=time.sleep)
    seconds = time.perf_counter() - begun
    # The peak that getrusage tells is that of the process which started this one, if that was larger.
    status = Path("/proc/self/status").read_text(encoding="ascii")
    peak_kb = int(next(line.split()[1] for line in status.splitlines() if line.startswith("VmHWM")))
    file_mb = sum(file.stat().st_size for file in got.files) / 1e6
    print(json.dumps({"results": got.results, "seconds": seconds, "peak_mb": peak_kb / 1024, "file_mb": file_mb}))


@contextmanager
def _serving(megabytes: int, folder: Path) -> Iterator[str]:
    authority = trustme.CA()
    authority.cert_pem.write_to_path(str(folder / "ca.pem"))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=_answer, args=(listener, context, megabytes), daemon=True)
        thread.start()
        yield f"127.0.0.1:{listener.getsockname()[1]}"
    thread.join(10)


def _answer(listener: socket.socket, context: ssl.SSLContext, megabytes: int) -> None:
    plain, _ = listener.accept()
    with plain, suppress(OSError), context.wrap_socket(plain, server_side=True) as connection:
        with connection.makefile("rb") as request:
            while request.readline().strip():
                pass
        head = b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n"
        connection.sendall(head)
        for chunk in _chunks(megabytes * 1_000_000):
            connection.sendall(b"%x\r\n%b\r\n" % (len(chunk), chunk))
        connection.sendall(b"0\r\n\r\n")


def _chunks(size: int) -> Iterator[bytes]:
    """Yield lines of results that differ where real ones do, together of about this size."""
    dice = random.Random(1)
    forms = [_form(dice, number) for number in range(1000)]
    sent, at = 0, 0
    while sent < size:
        at += 1
        probes = dice.choices(range(1, 65_000), k=_LINES_AT_ONCE)
        lines = [
            form % (probe * 31 % 200_000 / 1000, probe * at % 65_536, probe, _START + at % 240, _START + 30 + at % 240)
            for form, probe in zip(dice.choices(forms, k=_LINES_AT_ONCE), probes, strict=True)
        ]
        chunk = b"".join(lines)
        sent += len(chunk)
        yield chunk


def _form(dice: random.Random, number: int) -> bytes:
    name = f"ns{number % 4 + 1}.{dice.choice(_SITES)}.k.ripe.net"
    question = b"\x08hostname\x04bind\x00\x00\x10\x00\x03"
    answer = b"\xc0\x0c\x00\x10\x00\x03\x00\x00\x00\x00\x00%c%c%b" % (len(name) + 1, len(name), name.encode())
    message = dice.randbytes(2) + b"\x84\x00\x00\x01\x00\x01\x00\x00\x00\x00" + question + answer
    source = ".".join(str(dice.randrange(256)) for _ in range(4))
    return (
        f'{{"fw":5120,"mver":"2.6.2","lts":21,"dst_addr":"193.0.14.129","af":4,"src_addr":"{source}","proto":"UDP",'
        f'"result":{{"rt":%.3f,"size":{len(message)},"abuf":"{base64.b64encode(message).decode()}","ID":%d,"ANCOUNT":1,'
        f'"QDCOUNT":1,"NSCOUNT":0,"ARCOUNT":0,"answers":[{{"TYPE":"TXT","NAME":"hostname.bind","RDATA":["{name}"]}}]}},'
        f'"msm_id":{_NUMBER},"prb_id":%d,"timestamp":%d,"msm_name":"Tdig","from":"{source}","type":"dns",'
        '"stored_timestamp":%d}\n'
    ).encode()


if __name__ == "__main__":
    main()
