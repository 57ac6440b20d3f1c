from __future__ import annotations

import select
import socket
import time
from collections.abc import Iterator

import pytest

from catchment.platforms.local import sockets
from catchment.platforms.local.sockets import Clocks, IcmpError, Moment, Packet, StampedSocket, now
from tests.chaos_server import LOOPBACK, needs_loopback
from tests.small_labs import until

pytestmark = pytest.mark.xdist_group("packets")  # they tell time

FAMILIES = {4: socket.AF_INET, 6: socket.AF_INET6}


@pytest.fixture(params=[4, 6])
def af(request: pytest.FixtureRequest) -> int:
    needs_loopback(request.param)
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


def is_stamped(line: StampedSocket, peer: socket.socket) -> bool:
    """Tell whether the kernel stamps what leaves and what comes."""
    number = line.send(b"?")
    peer.sendto(b"!", peer.recvfrom(99)[1])
    (packet,) = line.receive()
    return line.sent_at(number).wall_ns != 0 != packet.at.wall_ns


def wait(line: StampedSocket) -> None:
    assert select.select([line.socket], [], [], 2)[0]


def test_the_kernel_stamps_a_packet_when_it_leaves_and_when_it_comes(
    line: StampedSocket, peer: socket.socket, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sockets, "now", lambda: Moment(0, Clocks(0, 0, 0)))  # so no time below is of our own clock
    assert until(lambda: is_stamped(line, peer))  # the kernel begins to some time after the first wish
    before_ns = time.time_ns()
    number = line.send(b"ping")
    after_ns = time.time_ns()
    _, asker = peer.recvfrom(99)
    for _ in range(2):
        peer.sendto(b"pong", asker)
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
    peer.connect(peer.getsockname())  # nobody listens there any more but to itself
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
    peer.connect(peer.getsockname())
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


def moment(stamp_ms: float, *, wall_ms: float, steady_ms: float, look_ms: float = 0.0) -> Moment:
    """Return a moment by a stamp and the clocks; of the two looks at the steady one the second is `look_ms` later."""
    before, wall, after, stamp = (
        round((ms + since) * 1_000_000)
        for ms, since in ((steady_ms, 5_000), (wall_ms, 1_000_000), (steady_ms + look_ms, 5_000), (stamp_ms, 1_000_000))
    )
    return Moment(stamp, Clocks(before, wall, after))


SENT = moment(0.0, wall_ms=0.0, steady_ms=0.0)
STEPS_MS = [0.0, -60_000.0, -99.0, -60.0, -0.5, 0.5, 60.0, 60_000.0]


def test_a_time_is_that_between_the_stamps_whatever_passes_until_they_are_read() -> None:
    assert SENT.ms_until(moment(100.0, wall_ms=100.2, steady_ms=100.2)) == 100.0
    assert SENT.ms_until(moment(100.0, wall_ms=1600.0, steady_ms=1600.0)) == 100.0
    assert SENT.ms_until(SENT) == 0.0


@pytest.mark.parametrize("read_ms", [100.0, 105.0])
def test_who_is_kept_waiting_between_two_clocks_tells_the_time_by_the_stamps_no_less(read_ms: float) -> None:
    # From 100 to 105 ms another process ran: before the wall's clock was read, or after it.
    assert SENT.ms_until(moment(99.8, wall_ms=read_ms, steady_ms=100.0, look_ms=5.0)) == 99.8


@pytest.mark.parametrize("step_ms", STEPS_MS)
def test_a_clock_that_is_set_while_a_packet_is_under_way_does_not_spoil_its_time(step_ms: float) -> None:
    came = moment(100.0 + step_ms, wall_ms=100.2 + step_ms, steady_ms=100.2)
    assert SENT.ms_until(came) == 100.0


@pytest.mark.parametrize("step_ms", STEPS_MS)
def test_a_clock_that_is_set_before_a_stamp_is_read_does_not_spoil_its_time(step_ms: float) -> None:
    assert SENT.ms_until(moment(100.0, wall_ms=100.2 + step_ms, steady_ms=100.2)) == 100.0


@pytest.mark.parametrize("step_ms", [-60_000.0, -99.0, -60.0, 60.0, 60_000.0])
@pytest.mark.parametrize("read_ms", [100.2, 105.2])
def test_a_time_is_never_too_short_and_ends_when_it_was_read(read_ms: float, step_ms: float) -> None:
    came = moment(100.0 + step_ms, wall_ms=read_ms + step_ms, steady_ms=100.2, look_ms=5.0)
    assert 100.0 <= SENT.ms_until(came) <= 105.2


def test_stamps_that_cannot_be_true_do_not_count() -> None:
    # An answer before the question: all that is sure is how long it took until that was read.
    assert SENT.ms_until(moment(-1.0, wall_ms=10.0, steady_ms=10.0)) == 10.0


def test_a_socket_has_the_clocks_of_when_it_sent_and_of_when_it_read(
    line: StampedSocket, peer: socket.socket, monkeypatch: pytest.MonkeyPatch
) -> None:
    number = line.send(b"ping")
    monkeypatch.setattr(sockets, "now", lambda: Moment(7, Clocks(6, 7, 8)))
    peer.sendto(b"pong", peer.recvfrom(99)[1])
    wait(line)
    (packet,) = line.receive()
    assert packet.at.clocks == Clocks(6, 7, 8)
    sent = line.sent_at(number).clocks
    assert sent.before_ns <= sent.after_ns < time.monotonic_ns()
    assert sent.before_ns != 6


def test_now_is_now() -> None:
    assert abs(now().wall_ns - time.time_ns()) < 1_000_000_000
