"""Send a lot through a wire, and print what came: run in namespaces of its own, by a test.

unshare --net --mount --pid --fork --kill-child --mount-proc python -m tests.wire_trial
"""

from __future__ import annotations

import hashlib
import json
import socket
import sys
import threading
import time

from catchment.platforms.lab.namespaces import Namespaces, hide_run
from catchment.platforms.lab.running import RunningLab
from tests.small_labs import two_ends

_BYTES = 3_000_000
_NUMBERED = 200  # as many as a socket keeps for its reader


def bulk(namespaces: Namespaces) -> bool:
    """Tell whether a long TCP stream arrives as it was sent: its segments are larger than frames until they leave."""
    sent = bytes(range(251)) * (_BYTES // 251)
    got = hashlib.sha256()
    with (
        namespaces.open_socket("b", socket.AF_INET, socket.SOCK_STREAM, 0) as server,
        namespaces.open_socket("vp7", socket.AF_INET, socket.SOCK_STREAM, 0) as client,
    ):
        server.bind(("198.18.0.1", 7000))
        server.listen()
        client.connect(("198.18.0.1", 7000))
        connection, _ = server.accept()

        def read() -> None:
            while part := connection.recv(1 << 16):
                got.update(part)

        with connection:
            reader = threading.Thread(target=read)
            reader.start()
            client.sendall(sent)
            client.shutdown(socket.SHUT_WR)
            reader.join(100)
    return got.digest() == hashlib.sha256(sent).digest()


def numbers(namespaces: Namespaces, lab: RunningLab) -> list[int]:
    """Return the numbers of packets in the order of their arrival, over a wire that becomes faster meanwhile."""
    lab.change_wire("w", delay_ms=40.0)
    with (
        namespaces.open_socket("b", socket.AF_INET, socket.SOCK_DGRAM, 0) as server,
        namespaces.open_socket("vp7", socket.AF_INET, socket.SOCK_DGRAM, 0) as client,
    ):
        server.bind(("198.18.0.1", 7000))
        server.settimeout(10)
        for number in range(_NUMBERED):
            client.sendto(number.to_bytes(4), ("198.18.0.1", 7000))
            time.sleep(0.0001)
            if number == _NUMBERED // 2:
                lab.change_wire("w", delay_ms=0.0)
        return [int.from_bytes(server.recv(100)) for _ in range(_NUMBERED)]


if __name__ == "__main__":
    hide_run()
    running = RunningLab(two_ends(1.0), name="trial")
    found = Namespaces()
    sys.stdout.write(json.dumps({"bulk": bulk(found), "numbers": numbers(found, running)}))
