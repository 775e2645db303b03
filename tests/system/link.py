"""What Wi-Fi does to the robot and whoever drives it: `with Link(robots, drivers) as link`.

A device in each of two network namespaces, and between them a process that
delays, loses, holds, thins or cuts what passes.  No netem is needed; root,
iproute2 and /dev/net/tun are.
"""

from __future__ import annotations

import contextlib
import ctypes
import fcntl
import os
import socket
import struct
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Final, Literal, Self

import msgspec

from tests.system.relay import Order, Way

ROBOT_IP: Final = "10.77.7.1"
DRIVER_IP: Final = "10.77.7.2"
DEVICE: Final = "air0"
CONTROL_BYTES: Final = 4096
ANSWER_S: Final = 5.0
_CLONE_NEWNET: Final = 0x40000000
_TUNSETIFF: Final = 0x400454CA
_IFF_TUN_NO_PI: Final = 0x1001

To = Literal["robot", "driver"]


class Link:
    """Both devices and the relay, until `with` ends.  Belongs to one thread."""

    def __init__(self, robot: Path, driver: Path, *, mtu: int = 1500) -> None:
        """The two namespaces: files like /run/netns/NAME or /proc/PID/ns/net; `mtu` in bytes."""
        self._robot, self._driver, self._mtu = robot, driver, mtu
        self._order = Order(Way(), Way())
        self._ending = contextlib.ExitStack()

    def __enter__(self) -> Self:
        with contextlib.ExitStack() as ending:
            ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
            ours.settimeout(ANSWER_S)
            ends = [
                _make_end(self._robot, ROBOT_IP, self._mtu),
                _make_end(self._driver, DRIVER_IP, self._mtu),
            ]
            passed = [*ends, theirs.fileno()]
            command = [sys.executable, "-m", "tests.system.relay", *map(str, passed)]
            ending.callback(subprocess.Popen(command, pass_fds=passed).wait)
            ending.callback(ours.close)  # ends the relay, and with it the devices
            theirs.close()
            for end in ends:
                os.close(end)
            self._control = ours
            self._tell(self._order)
            self._ending = ending.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._ending.close()

    def shape(self, way: Way, to: To | None = None) -> None:
        """From now on it is like this, both ways or only toward one; returns when it is in force."""
        order = self._order
        to_robot = order.to_robot if to == "driver" else way
        to_driver = order.to_driver if to == "robot" else way
        self._tell(Order(to_robot, to_driver))

    def reset_connections(self) -> None:
        """A RST to both ends of every TCP connection, in place of its next packet."""
        self._tell(msgspec.structs.replace(self._order, resets=True))

    def _tell(self, order: Order) -> None:
        self._order = msgspec.structs.replace(order, resets=False)
        self._control.send(msgspec.json.encode(order))
        self._control.recv(CONTROL_BYTES)


@contextlib.contextmanager
def inside(namespace: Path) -> Iterator[None]:
    """Sockets that the calling thread makes in here belong to this namespace."""
    before = os.open("/proc/thread-self/ns/net", os.O_RDONLY)
    there = os.open(namespace, os.O_RDONLY)
    try:
        _enter(there)
        try:
            yield
        finally:
            _enter(before)
    finally:
        os.close(before)
        os.close(there)


def _enter(namespace: int) -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.setns(namespace, _CLONE_NEWNET) != 0:
        raise OSError(ctypes.get_errno(), "setns")


def _make_end(namespace: Path, address: str, mtu: int) -> int:
    """A device in there; what is written to the file descriptor returned comes out of it."""
    with inside(namespace):
        tun = os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK)
        fcntl.ioctl(tun, _TUNSETIFF, struct.pack("16sH22x", DEVICE.encode(), _IFF_TUN_NO_PI))
    for arguments in (
        ("link", "set", "lo", "up"),
        ("addr", "add", f"{address}/24", "dev", DEVICE),
        ("link", "set", DEVICE, "mtu", str(mtu), "up"),
    ):
        subprocess.run(
            ["nsenter", f"--net={namespace}", "ip", *arguments], check=True, capture_output=True, text=True
        )
    return tun
