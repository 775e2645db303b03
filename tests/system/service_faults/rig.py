"""The service, the link to it, whoever drives it from the other end, and one trial of one fault."""

from __future__ import annotations

import contextlib
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import msgspec

from pynet_car.messages import DEFAULT_PORT, Priority
from pynet_car.world.board import Board, Pose
from pynet_core.keys import Identity
from pynet_core.trust import Trusted, TrustStore
from tests.system.container import Container
from tests.system.link import ROBOT_IP, Link
from tests.system.relay import Way
from tests.system.service_faults.remote import TRUST_FILE, Answer
from tests.system.service_faults.robot import UNIT, Robot, wait_for

AIR: Final = Way(delay_s=0.002, jitter_s=0.001)  # a quiet room
SETTINGS: Final = "/etc/pynet/agent.toml"
TRIGGER: Final = "/run/pynet-agent/saboteur"
CLOCK_OFFSET: Final = "/run/wall-clock-offset"  # what clock.c reads
CLOCK_LIBRARY: Final = "/usr/local/lib/wall-clock.so"
WORLD_UNIT: Final = "pynet-agent-sim.service"


class Broken(AssertionError):
    """Something that must be true after a fault is not."""


@dataclass
class Rig:
    """All that a fault may reach for.  Belongs to one thread."""

    box: Container
    robot: Robot
    link: Link
    folder: Path  # the driver's identity and whom it trusts
    remote: subprocess.Popen[bytes] | None = None
    priority: Priority = Priority.HUMAN
    remembered: dict[str, int] = field(default_factory=dict)  # from `make` to `after` and `undo`

    def start_remote(self, priority: Priority = Priority.HUMAN) -> None:
        """Somebody new at the far end, in place of whoever was there."""
        self.end_remote()
        self.priority = priority
        module = "tests.system.service_faults.remote"
        where = [ROBOT_IP, str(DEFAULT_PORT), str(self.robot.board_path), str(self.folder), priority.name]
        self.remote = subprocess.Popen(
            self.box.outside(sys.executable, "-m", module, *where),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )

    def end_remote(self) -> None:
        if self.remote is not None:
            self.remote.kill()
            self.remote.communicate()
            self.remote = None

    def ask(self, word: str) -> Answer:
        """Tell the driver; raises Broken where it cannot."""
        assert self.remote is not None and self.remote.stdin is not None and self.remote.stdout is not None
        self.remote.stdin.write(word.encode() + b"\n")
        self.remote.stdin.flush()
        line = self.remote.stdout.readline()
        if not line:
            raise Broken(f"{word!r}: the driver's process has ended")
        answer = msgspec.json.decode(line, type=Answer)
        if answer.error:
            raise Broken(f"{word!r} by the driver: {answer.error} ({answer.state}: {answer.reason})")
        return answer

    def sabotage(self, word: str) -> int:
        """Let the plugin do this in the worker; the monotonic ns at which it began."""
        stamp = self.box.path(TRIGGER + ".ns")
        stamp.unlink(missing_ok=True)
        fresh = self.box.path(TRIGGER + ".put")
        fresh.write_text(word)
        fresh.chmod(0o666)
        fresh.rename(self.box.path(TRIGGER))
        wait_for(stamp.exists, "the plugin does not act", 5.0)
        return int(stamp.read_text())

    @property
    def pose(self) -> Pose:
        """The true one."""
        with Board.open(self.robot.board_path) as board:
            return board.read_pose()

    @property
    def velocity_mps(self) -> float:
        return self.pose.velocity_mps

    def restart(self) -> None:
        """The service, with its settings as they are now."""
        self.box.run(f"systemctl daemon-reload; systemctl restart {UNIT}")

    def write_settings(self, more: str = "") -> None:
        text = f'[gateway]\nhost = ""\n[sensors.saboteur]\ntrigger = "{TRIGGER}"\n{more}'
        self.box.path(SETTINGS).write_text(text)


@contextlib.contextmanager
def rig_in(box: Container, folder: Path) -> Iterator[Rig]:
    """A rig around the service that is installed there, with a driver who may drive it."""
    robot = Robot(box)
    rig = Rig(box, robot, _link(box), folder)
    identity = Identity.load(robot.state_dir)
    assert identity is not None, "the package makes one when it is installed"
    laptop = Identity.new()
    laptop.save(folder)
    TrustStore(folder / TRUST_FILE).add(Trusted("gateway", "robot", identity.certificate))
    TrustStore(robot.state_dir / "trusted").add(Trusted("driver", "laptop", laptop.certificate))
    _install_saboteur(box)
    _install_clock(box)
    rig.write_settings()
    rig.restart()
    with rig.link:
        rig.link.shape(AIR)
        try:
            rig.start_remote()
            yield rig
        finally:
            rig.end_remote()


def _link(box: Container) -> Link:
    robot, driver = (Path(f"/proc/{command[2]}/ns/net") for command in (box.at_its_end(), box.outside()))
    return Link(robot, driver)


def _install_saboteur(box: Container) -> None:
    """As `pip install` would, for all users."""
    python = box.run("python3 -c 'import sys; print(\"python%d.%d\" % sys.version_info[:2])'").stdout.strip()
    place = box.path(f"/usr/local/lib/{python}/dist-packages")
    package = place / "saboteur-1.0.dist-info"
    package.mkdir(parents=True, exist_ok=True)
    (package / "METADATA").write_text("Metadata-Version: 2.1\nName: saboteur\nVersion: 1.0\n")
    (package / "entry_points.txt").write_text("[pynet.sensors]\nsaboteur = saboteur:Saboteur\n")
    shutil.copy(Path(__file__).with_name("saboteur.py"), place)


def _install_clock(box: Container) -> None:
    """A wall clock of its own for the service: the machine's is everybody's here."""
    box.path(CLOCK_OFFSET).write_bytes(bytes(4096))
    compiler = ["cc", "-shared", "-fPIC", "-O1", "-o", str(box.path(CLOCK_LIBRARY))]
    subprocess.run([*compiler, str(Path(__file__).with_name("clock.c")), "-ldl"], check=True)
    drop_in = box.path(f"/etc/systemd/system/{UNIT}.d/clock.conf")
    drop_in.parent.mkdir(exist_ok=True)
    drop_in.write_text(f"[Service]\nEnvironment=LD_PRELOAD={CLOCK_LIBRARY}\n")
