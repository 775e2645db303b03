"""The rows of the connect sheet: robots remembered, robots found, the simulated car last.  Pure."""

from __future__ import annotations

import ipaddress
from collections.abc import Callable, Iterable, Sequence
from typing import Final

from desktop_app.address import format_address, parse_address
from desktop_app.sanity import clip
from desktop_app.settings import Robot
from desktop_app.view import KnownRobot
from pynet_core.discovery import ROBOT, FoundGateway

SIMULATED_HOST: Final = "127.0.0.1"
MAX_SHOWN: Final = 8  # anybody may say that he is a robot


def robot_rows(
    remembered: Sequence[Robot],
    *,
    connected: set[tuple[str, int]],
    is_paired: Callable[[str], bool],
    found: Iterable[FoundGateway],
    simulated_port: int,
    is_starting: bool,
) -> tuple[KnownRobot, ...]:
    """`connected`: host and port; `is_paired` is asked for a fingerprint; the last two: the simulated car."""
    known = tuple(
        KnownRobot(
            address=format_address(robot.host, robot.port),
            name=robot.name,
            board=robot.board,
            simulated=robot.simulated,
            is_connected=(robot.host, robot.port) in connected,
            is_paired=is_paired(robot.fingerprint) if robot.fingerprint else None,
        )
        for robot in remembered
    )
    simulated = KnownRobot(
        address="",
        name="Simulated car",
        board="this computer",
        simulated=True,
        is_connected=(SIMULATED_HOST, simulated_port) in connected,
        is_starting=is_starting,
    )
    return (*known, *strangers(found, remembered), simulated)


def strangers(found: Iterable[FoundGateway], remembered: Sequence[Robot]) -> tuple[KnownRobot, ...]:
    """Rows for the robots that are not remembered, or are at a new address; nothing else can be driven."""
    rows = []
    for each in (each for each in found if each.kind == ROBOT):
        for host in each.addresses[:1]:
            if _is_address(host, each.port) and not any(_is_same(each, robot) for robot in remembered):
                rows.append(
                    KnownRobot(
                        address=format_address(host, each.port),
                        name=clip(each.name),
                        board=clip(each.host),
                        is_found=True,
                    )
                )
    return tuple(rows[:MAX_SHOWN])


def _is_address(host: str, port: int) -> bool:
    try:
        return parse_address(format_address(host, port)) == (host, port)
    except ValueError:
        return False


def _is_same(found: FoundGateway, robot: Robot) -> bool:
    """Whether a click on the remembered one comes to this one too."""
    if robot.host in found.addresses and robot.port == found.port:
        return True
    try:
        ipaddress.ip_address(robot.host)
    except ValueError:  # a name, which leads to where the robot is now
        return bool(found.fingerprint) and robot.fingerprint.startswith(found.fingerprint)
    return False
