"""The relay does to packets what it is told, and nothing else."""

from __future__ import annotations

import contextlib
import os
import shutil
import socket
import struct
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.system.link import ROBOT_IP, Link, inside
from tests.system.relay import Lane, Way, flow_of, resets_for

PORT = 7000
PACKETS = [bytes([number]) * 100 for number in range(100)]


def through(lane: Lane, way: Way, after_s: float) -> list[bytes]:
    lane.change(way, 0.0)
    for packet in PACKETS:
        lane.put(packet, 0.0)
    return list(lane.take(after_s))


def test_packets_pass_at_once_and_in_order() -> None:
    assert through(Lane(1), Way(), 0.0) == PACKETS


def test_jitter_delays_and_never_reorders() -> None:
    lane = Lane(1)
    assert through(lane, Way(delay_s=0.02, jitter_s=0.01), 0.0199) == []
    assert list(lane.take(1.0)) == PACKETS


def test_a_fifth_is_lost_and_the_same_fifth_in_every_run() -> None:
    came = through(Lane(1), Way(loss=0.2), 1.0)
    assert 65 <= len(came) <= 92
    assert through(Lane(1), Way(loss=0.2), 1.0) == came


def test_a_thin_link_takes_its_time_and_drops_what_would_wait_too_long() -> None:
    lane = Lane(1)
    assert len(through(lane, Way(rate_bps=80_000), 0.1005)) == 10
    assert len(list(lane.take(10.0))) in (40, 41)  # half a second's worth, and one that was being sent


def test_what_was_held_comes_in_one_burst_and_what_met_a_dead_link_never() -> None:
    lane = Lane(1)
    assert through(lane, Way(is_stalled=True), 5.0) == []
    lane.change(Way(), 6.0)
    assert list(lane.take(6.0)) == PACKETS
    assert through(lane, Way(is_dead=True), 7.0) == []
    lane.change(Way(), 8.0)
    assert list(lane.take(9.0)) == []


def test_what_was_on_its_way_when_the_link_died_is_lost() -> None:
    lane = Lane(1)
    assert through(lane, Way(delay_s=1.0), 0.5) == []
    lane.change(Way(is_dead=True), 0.6)
    assert list(lane.take(2.0)) == []


def test_a_reset_is_for_the_same_connection_and_in_its_window() -> None:
    ip = bytes([0x45, 0, 0, 40, 0, 0, 0, 0, 64, 6, 0, 0, 10, 0, 0, 1, 10, 0, 0, 2])
    packet = ip + struct.pack(">HHIIBBHHH", 1000, 2000, 77, 88, 0x50, 0x10, 500, 0, 0)
    onward, back = resets_for(packet)
    assert flow_of(onward) == flow_of(back) == flow_of(packet)
    assert onward[12:20] == packet[12:20]
    assert struct.unpack(">HHII", onward[20:32]) == (1000, 2000, 77, 88)
    assert struct.unpack(">HHII", back[20:32]) == (2000, 1000, 88, 77)


@pytest.mark.root
def test_two_ends_talk_are_cut_off_and_are_reset() -> None:
    if os.geteuid() != 0 or not Path("/dev/net/tun").exists() or not shutil.which("ip"):
        pytest.skip("needs root, /dev/net/tun and iproute2")
    with empty_network() as robot_net, empty_network() as driver_net, Link(robot_net, driver_net) as link:
        with inside(robot_net):
            listener = socket.create_server((ROBOT_IP, PORT))
        with inside(driver_net):
            driver = socket.create_connection((ROBOT_IP, PORT), 5.0)
        robot, _ = listener.accept()
        with listener, driver, robot:
            robot.settimeout(5.0)
            link.shape(Way(delay_s=0.05), "robot")
            sent_s = time.monotonic()
            driver.sendall(b"late")
            assert robot.recv(10) == b"late"
            assert time.monotonic() - sent_s >= 0.05
            link.shape(Way(is_dead=True))
            driver.sendall(b"never, or by retransmission")
            robot.settimeout(0.1)
            with pytest.raises(TimeoutError):
                robot.recv(10)
            link.shape(Way())
            robot.settimeout(5.0)
            assert robot.recv(5) == b"never"
            link.reset_connections()
            with pytest.raises(ConnectionResetError):  # in place of this, or of what was on its way
                driver.sendall(b"replaced")
                driver.recv(10)
            with pytest.raises(ConnectionResetError):
                while robot.recv(100):
                    pass


@contextlib.contextmanager
def empty_network() -> Iterator[Path]:
    with subprocess.Popen(
        ["unshare", "--net", "sh", "-c", "echo there; exec sleep 100"], stdout=-1
    ) as holder:
        assert holder.stdout is not None
        holder.stdout.readline()
        try:
            yield Path(f"/proc/{holder.pid}/ns/net")
        finally:
            holder.kill()
