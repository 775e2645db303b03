"""What the window remembers, in one JSON file.  A bad file costs the memory, not the window."""

from __future__ import annotations

import contextlib
import logging
import os
import tempfile
from pathlib import Path
from typing import Annotated, Final, Literal

import msgspec
from msgspec import Meta, Struct

_log = logging.getLogger(__name__)

MAX_ROBOTS: Final = 20  # the ones used last
MAX_PADS: Final = 20

Text = Annotated[str, Meta(max_length=255)]
Theme = Literal["system", "dark", "light"]


class Robot(Struct, frozen=True, kw_only=True):
    """A robot that was connected to once."""

    host: Text
    port: Annotated[int, Meta(ge=1, le=65535)]
    name: Text = ""
    board: Text = ""
    simulated: bool = False
    fingerprint: Text = ""  # of its key; '' where it did not have to prove who it is


class PadMapping(Struct, frozen=True, kw_only=True):
    """What this person's gamepad does, by SDL's names of its axes and buttons, and how it feels."""

    steer: Text = "leftx"
    forward: Text = "righttrigger"
    back: Text = "lefttrigger"
    hold: Text = "leftshoulder"
    e_stop: Text = "b"
    arm: Text = "start"
    is_steering_turned: bool = False
    dead_zone: Annotated[float, Meta(ge=0.0, le=0.5)] = 0.1
    curve: Annotated[float, Meta(ge=1.0, le=4.0)] = 1.5
    sdl: Annotated[str, Meta(max_length=2000)] = ""  # SDL's mapping line, for a pad it does not know


class Settings(Struct, frozen=True, kw_only=True):
    """Everything that is remembered; unknown fields of a later version are ignored."""

    robots: tuple[Robot, ...] = ()  # the one used last first
    theme: Theme = "system"
    zoom: Literal[100, 125, 150] = 100  # per cent
    width: Annotated[int, Meta(ge=200, le=20000)] = 1440
    height: Annotated[int, Meta(ge=200, le=20000)] = 900
    sounds: bool = False
    limit: Annotated[float, Meta(ge=0.1, le=1.0)] = 0.5
    panel_height: Annotated[float, Meta(ge=100.0, le=1000.0)] = 200.0
    shows_left: bool = True
    shows_panel: bool = True
    pads: dict[Text, PadMapping] = {}  # by SDL's GUID
    keys: dict[Text, tuple[Text, ...]] = {}  # by what they do: only those that are not the usual ones

    def with_robot(self, robot: Robot) -> Settings:
        """This robot first; one of the same address is replaced."""
        others = tuple(r for r in self.robots if (r.host, r.port) != (robot.host, robot.port))
        return msgspec.structs.replace(self, robots=(robot, *others)[:MAX_ROBOTS])

    def robot_at(self, host: str, port: int) -> Robot | None:
        """What is remembered of the robot at this address."""
        return next((r for r in self.robots if (r.host, r.port) == (host, port)), None)

    def with_pad(self, guid: str, mapping: PadMapping) -> Settings:
        others = {known: m for known, m in self.pads.items() if known != guid}
        newest = dict(list(others.items())[1 - MAX_PADS :])
        return msgspec.structs.replace(self, pads={**newest, guid: mapping})


class SettingsFile:
    """One file.  `trouble` is what to tell the person once; '' when all is well."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.trouble = ""
        self._known: set[tuple[str, int]] = set()  # the robots that this window has had in its list

    def load(self) -> Settings:
        """What was remembered; the defaults if there is no such file, or none that can be read."""
        try:
            return self._note(msgspec.json.decode(self.path.read_bytes(), type=Settings))
        except (FileNotFoundError, NotADirectoryError):
            return Settings()
        except (OSError, ValueError) as exc:
            self._complain(f"Settings could not be read, the defaults hold: {exc}")
            # Kept, so that a slip of the hand in it is not overwritten.
            with contextlib.suppress(OSError):
                self.path.replace(self.path.with_suffix(".broken"))
            return Settings()

    def save(self, settings: Settings) -> bool:
        """Write them, whole or not at all; False if that is not possible here.

        Robots that another window has come to know meanwhile stay.
        """
        robots = (*self._note(settings).robots, *self._of_others())[:MAX_ROBOTS]
        settings = msgspec.structs.replace(settings, robots=robots)
        text = msgspec.json.format(msgspec.json.encode(settings), indent=2)
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            handle, name = tempfile.mkstemp(prefix=self.path.name, dir=self.path.parent)
            try:
                with os.fdopen(handle, "wb") as file:
                    file.write(text)
                    file.flush()
                    os.fsync(file.fileno())
                Path(name).replace(self.path)
            except OSError:
                Path(name).unlink(missing_ok=True)
                raise
        except OSError as exc:
            self._complain(f"Settings are not remembered: {exc}")
            return False
        self.trouble = ""
        return True

    def _note(self, settings: Settings) -> Settings:
        self._known |= {(robot.host, robot.port) for robot in settings.robots}
        return settings

    def _of_others(self) -> tuple[Robot, ...]:
        try:
            written = msgspec.json.decode(self.path.read_bytes(), type=Settings)
        except (OSError, ValueError):
            return ()
        return tuple(robot for robot in written.robots if (robot.host, robot.port) not in self._known)

    def _complain(self, trouble: str) -> None:
        if not self.trouble:
            _log.warning("%s", trouble)
            self.trouble = trouble
