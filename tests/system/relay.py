"""The relay of a `Link`: `python -m tests.system.relay TUN_ROBOT TUN_DRIVER CONTROL`, all file descriptors.

Passes IP packets from one TUN device to the other.  `Lane` is pure: packets and
the time go in, what is due comes out.
"""

from __future__ import annotations

import contextlib
import heapq
import itertools
import os
import random
import select
import socket
import struct
import sys
import time
from collections.abc import Iterator
from typing import Final

import msgspec

PACKET_BYTES: Final = 65536
QUEUE_S: Final = 0.5  # of a thin link: what would wait longer is dropped, as an access point does
SEED: Final = 5
_TCP: Final = 6
_RST_ACK: Final = 0x14


class Way(msgspec.Struct, frozen=True, kw_only=True):
    """How packets travel in one direction."""

    delay_s: float = 0.0
    jitter_s: float = 0.0  # standard deviation; never changes their order
    loss: float = 0.0  # [0, 1]
    rate_bps: float = 0.0  # 0 is no limit
    is_dead: bool = False  # nothing passes, nobody is told: out of range
    is_stalled: bool = False  # all is held, and comes in one burst when this ends


class Lane:
    """One direction."""

    def __init__(self, seed: int) -> None:
        self._way = Way()
        self._random = random.Random(seed)
        self._held: list[bytes] = []
        self._waiting: list[tuple[float, int, bytes]] = []  # a heap by (due, number)
        self._numbers = itertools.count()
        self._last_s = 0.0  # when the newest one is due
        self._free_s = 0.0  # when a thin link has sent all it was given

    def change(self, way: Way, now_s: float) -> None:
        self._way = way
        if not way.is_stalled:
            held, self._held = self._held, []
            for packet in held:
                self.put(packet, now_s)

    def put(self, packet: bytes, now_s: float) -> None:
        way = self._way
        if way.is_stalled:
            self._held.append(packet)
            return
        if way.is_dead or self._random.random() < way.loss:
            return
        due_s = now_s
        if way.rate_bps:
            begins_s = max(now_s, self._free_s)
            if begins_s - now_s > QUEUE_S:
                return
            due_s = self._free_s = begins_s + len(packet) * 8 / way.rate_bps
        due_s += way.delay_s + abs(self._random.gauss(0.0, way.jitter_s))
        self._last_s = due_s = max(due_s, self._last_s)
        heapq.heappush(self._waiting, (due_s, next(self._numbers), packet))

    def take(self, now_s: float) -> Iterator[bytes]:
        """What is due; what was on its way when the link died is lost."""
        while self._waiting and self._waiting[0][0] <= now_s:
            packet = heapq.heappop(self._waiting)[2]
            if self._way.is_stalled:
                self._held.append(packet)
            elif not self._way.is_dead:
                yield packet

    @property
    def due_s(self) -> float | None:
        return self._waiting[0][0] if self._waiting else None


class Flow(msgspec.Struct, frozen=True):
    """One TCP connection, whichever end speaks."""

    ends: frozenset[bytes]  # address and port of each


def flow_of(packet: bytes) -> Flow | None:
    """The connection that an IPv4 packet belongs to; None for what is no TCP."""
    if packet[0] >> 4 != 4 or packet[9] != _TCP:
        return None
    tcp = (packet[0] & 15) * 4
    return Flow(frozenset({packet[12:16] + packet[tcp : tcp + 2], packet[16:20] + packet[tcp + 2 : tcp + 4]}))


def resets_for(packet: bytes) -> tuple[bytes, bytes]:
    """A RST in place of this TCP packet, and one back to its sender; each in the window exactly."""
    tcp = (packet[0] & 15) * 4
    source, target = packet[12:16], packet[16:20]
    source_port, target_port = packet[tcp : tcp + 2], packet[tcp + 2 : tcp + 4]
    seq, ack = packet[tcp + 4 : tcp + 8], packet[tcp + 8 : tcp + 12]
    return (
        _reset(source, target, source_port + target_port, seq, ack),
        _reset(target, source, target_port + source_port, ack, seq),
    )


def _reset(source: bytes, target: bytes, ports: bytes, seq: bytes, ack: bytes) -> bytes:
    tcp = ports + seq + ack + struct.pack(">BBHHH", 5 << 4, _RST_ACK, 0, 0, 0)
    pseudo = source + target + struct.pack(">BBH", 0, _TCP, len(tcp))
    tcp = tcp[:16] + _checksum(pseudo + tcp) + tcp[18:]
    ip = struct.pack(">BBHIBBH", 0x45, 0, 20 + len(tcp), 0, 64, _TCP, 0) + source + target
    return ip[:10] + _checksum(ip) + ip[12:] + tcp


def _checksum(data: bytes) -> bytes:
    total = sum(struct.unpack(f">{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return struct.pack(">H", ~total & 0xFFFF)


class Order(msgspec.Struct, frozen=True):
    """What the relay is to do from now on."""

    to_robot: Way
    to_driver: Way
    resets: bool = False  # every TCP connection seen so far gets a RST on both sides


def relay(robot: int, driver: int, control: socket.socket) -> None:
    """Pass packets on until the control socket closes."""
    lanes = {driver: Lane(SEED), robot: Lane(SEED + 1)}  # by the device that packets come from
    other = {driver: robot, robot: driver}
    known: set[Flow] = set()
    doomed: set[Flow] = set()
    while True:
        dues_s = [lane.due_s for lane in lanes.values() if lane.due_s is not None]
        wait_s = max(0.0, min(dues_s) - time.monotonic()) if dues_s else None
        readable = select.select([robot, driver, control.fileno()], [], [], wait_s)[0]
        now_s = time.monotonic()
        if control.fileno() in readable:
            message = control.recv(PACKET_BYTES)
            if not message:
                return
            order = msgspec.json.decode(message, type=Order)
            lanes[driver].change(order.to_robot, now_s)
            lanes[robot].change(order.to_driver, now_s)
            if order.resets:
                doomed |= known
            control.send(b"done")
        for device in (robot, driver):
            for packet in _read(device) if device in readable else ():
                flow = flow_of(packet)
                if flow is None:
                    lanes[device].put(packet, now_s)
                elif flow in doomed:
                    doomed.discard(flow)
                    known.discard(flow)
                    onward, back = resets_for(packet)
                    lanes[device].put(onward, now_s)
                    lanes[other[device]].put(back, now_s)
                else:
                    known.add(flow)
                    lanes[device].put(packet, now_s)
        for device, lane in lanes.items():
            for packet in lane.take(now_s):
                _write(other[device], packet)


def _read(device: int) -> Iterator[bytes]:
    for _ in range(64):  # then the other device has its turn
        try:
            yield os.read(device, PACKET_BYTES)
        except OSError:  # nothing more, or its namespace is going
            return


def _write(device: int, packet: bytes) -> None:
    with contextlib.suppress(OSError):  # its queue is full, or its namespace is going: a lost packet
        os.write(device, packet)


if __name__ == "__main__":
    fds = [int(argument) for argument in sys.argv[1:4]]
    relay(fds[0], fds[1], socket.socket(fileno=fds[2]))
