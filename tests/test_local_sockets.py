from __future__ import annotations

import select
import socket
import time
from collections.abc import Iterator

import pytest

from catchment.platforms.local import sockets
from catchment.platforms.local.sockets import IcmpError, Moment, Packet, StampedSocket, now
from tests.chaos_server import LOOPBACK

pytestmark = pytest.mark.xdist_group("packets")  # they tell time

FAMILIES = {4: socket.AF_INET, 6: socket.AF_INET6}


@pytest.fixture(params=[4, 6])
def af(request: pytest.FixtureRequest) -> int:
    return int(request.param)


@pytest.fixture
def peer(af: int) -> Iterator[socket.socket]:
    with socket.socket(FAMILIES[af], socket.SOCK_DGRAM) as line:
        line.bind((LOOPBACK[af], 0))
        line.settimeout(2)
        yield line


@pytest.fixture
def line(af: int, peer: socket.socket) -> Iterator[StampedSocket]:
    with StampedSocket(socket.socket, 4 if af == 4 else 6, socket.SOCK_DGRAM) as opened:
        opened.connect(*peer.getsockname()[:2])
        yield opened


def wait(line: StampedSocket) -> None:
    assert select.select([line.socket], [], [], 2)[0]


def test_the_kernel_stamps_a_packet_when_it_leaves_and_when_it_comes(
    line: StampedSocket, peer: socket.socket, monkeypatch: pytest.MonkeyPatch
) -> None:
    line.send(b"the kernel begins to stamp some time after the first wish")
    time.sleep(0.05)
    monkeypatch.setattr(sockets, "now", lambda: Moment(0, 0))  # so no time below is of our own clock
    before_ns = time.time_ns()
    number = line.send(b"ping")
    after_ns = time.time_ns()
    for _ in range(2):
        peer.sendto(b"pong", peer.recvfrom(99)[1])
    delivered_ns = time.time_ns()
    time.sleep(0.02)
    first, second = line.receive()
    # On loopback a packet is delivered before send returns.
    assert before_ns < line.sent_at(number).wall_ns < after_ns
    assert after_ns < first.at.wall_ns < second.at.wall_ns < delivered_ns  # not when it was read, 20 ms later
    assert isinstance(first, Packet)
    assert first.data == b"pong"


def test_the_error_queue_is_empty_after_sending_so_poll_does_not_spin(line: StampedSocket) -> None:
    for _ in range(5):
        line.send(b"x")
    poll = select.poll()
    poll.register(line.socket, 0)  # errors are always told
    assert poll.poll(0) == []


def test_stamps_belong_to_their_own_packets(line: StampedSocket) -> None:
    numbers = []
    for _ in range(4):
        numbers.append(line.send(b"x"))
        time.sleep(0.002)
    times = [line.sent_at(number).wall_ns for number in numbers]
    assert times == sorted(times)
    assert times[-1] - times[0] >= 6_000_000


def test_a_reply_tells_its_ttl(line: StampedSocket, peer: socket.socket) -> None:
    line.send(b"ping")
    peer.sendto(b"pong", peer.recvfrom(99)[1])
    wait(line)
    (packet,) = line.receive()
    assert packet.ttl == 64


def test_an_icmp_error_tells_who_says_what_of_which_packet(af: int, line: StampedSocket, peer: socket.socket) -> None:
    peer.close()  # nobody listens there any more
    line.send(b"hello")
    (error,) = line.receive()
    assert isinstance(error, IcmpError)
    assert error.sender == LOOPBACK[af]
    assert (error.type, error.code) == {4: (3, 3), 6: (1, 4)}[af]  # port unreachable: RFC 792, RFC 4443
    assert error.quoted == b"hello"
    assert error.reason == "Connection refused"
    assert list(line.receive()) == []


def test_an_error_about_an_earlier_packet_does_not_keep_the_next_from_leaving(
    line: StampedSocket, peer: socket.socket
) -> None:
    peer.close()
    assert [line.send(b"one"), line.send(b"two"), line.send(b"three")] == [0, 1, 2]
    assert [error.quoted for error in line.receive() if isinstance(error, IcmpError)] == [b"one", b"two", b"three"]


def test_a_packet_that_cannot_be_sent_has_no_number(line: StampedSocket) -> None:
    line.send(b"fits")
    with pytest.raises(OSError, match="too long"):
        line.send(bytes(70_000))
    assert line.send(b"fits") == 1


def test_it_never_waits(line: StampedSocket) -> None:
    assert list(line.receive()) == []


def test_a_socket_that_cannot_be_prepared_is_closed() -> None:
    opened: list[socket.socket] = []

    def open_socket(family: int, kind: int, protocol: int) -> socket.socket:
        opened.append(socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM))
        return opened[0]

    with pytest.raises(OSError):  # noqa: PT011  (which one is the system's business)
        StampedSocket(open_socket, 4, socket.SOCK_DGRAM)
    assert opened[0].fileno() == -1


def test_a_clock_that_is_set_meanwhile_does_not_spoil_a_time() -> None:
    sent = Moment(1_000_000_000_000, 5_000_000_000)
    assert sent.ms_until(Moment(1_000_010_000_000, 5_010_200_000)) == 10.0  # by the stamps: 0.2 ms passed until reading
    assert sent.ms_until(Moment(940_000_000_000, 5_010_200_000)) == 10.2  # a minute back
    assert sent.ms_until(Moment(1_060_000_000_000, 5_010_200_000)) == 10.2  # a minute on
    assert sent.ms_until(Moment(1_000_000_000_000, 5_000_000_000)) == 0.0


def test_now_is_now() -> None:
    assert abs(now().wall_ns - time.time_ns()) < 1_000_000_000
