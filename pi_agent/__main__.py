"""pynet-agent: the robot daemon.  Builds the guardian, which starts all else.

python -m pi_agent run [--runtime-dir DIR] [--state-dir DIR] [--config FILE] [--port N]
python -m pi_agent pair [--state-dir DIR] [--role ROLE]    let another device in, while the agent runs or not
"""

from __future__ import annotations

import argparse
import contextlib
import fcntl
import logging
import os
import signal
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from pi_agent.config import AgentConfig, is_simulated, load_config
from pi_agent.diary import Diary, read_latch
from pi_agent.drivetrain import GpioDrivetrain
from pi_agent.guardian import Guardian
from pi_agent.neutral import save_plan
from pi_agent.procs import EXIT_CONFIG, run_before_others, worker_command
from pi_agent.simulated.pins import BoardFactory
from pi_agent.supervisor import Supervisor, run
from pi_agent.systemd import Notifier
from pynet_car.world import BOARD_FILE
from pynet_car.world.board import Board
from pynet_core.errors import ConfigError, HardwareError, PynetError

EXIT_ERROR: Final = 1
LOCK_FILE: Final = "guardian.lock"

log = logging.getLogger(__name__)


class _Stop:
    """Set by the signals that ask us to end."""

    def __init__(self) -> None:
        self.is_asked = False
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            signal.signal(number, self._ask)

    def _ask(self, number: int, frame: object) -> None:
        self.is_asked = True


def main(argv: Sequence[str] | None = None) -> int:
    """The daemon; returns its exit code: 0 asked to end, 1 cannot go on, 78 wrong settings."""
    arguments = _parser().parse_args(argv)
    logging.basicConfig(level=logging.INFO, format="agent: %(levelname)s %(message)s")
    try:
        if arguments.verb == "pair":
            # Here: the guardian is to start soon and stay small, without any cryptography in it.
            from pynet_core.cli_pair import serve_pairing

            serve_pairing(arguments.state_dir, arguments.role, arguments.port)
            return 0
        config = load_config(arguments.config)
        for folder in (arguments.runtime_dir, arguments.state_dir):
            folder.mkdir(parents=True, exist_ok=True)
        guard(config, arguments)
    except PynetError as exc:
        print(f"agent: {exc}", file=sys.stderr, flush=True)
        return EXIT_CONFIG if isinstance(exc, ConfigError) else EXIT_ERROR
    except OSError as exc:
        print(f"agent: {exc}; both folders must be writable", file=sys.stderr, flush=True)
        return EXIT_ERROR
    return 0


def guard(config: AgentConfig, arguments: argparse.Namespace) -> None:
    """Own the motors until asked to end; whatever happens, they are neutral when this returns.

    Raises:
        HardwareError: The outputs cannot be had, or refuse.
        ConfigError: The worker cannot run with its settings.
    """
    stop = _Stop()
    runtime_dir, state_dir = arguments.runtime_dir, arguments.state_dir
    with contextlib.ExitStack() as ending:  # undone in reverse: outputs neutral before anything waits
        _lock(runtime_dir, ending)
        board = None
        title = ""
        if is_simulated(config):
            board = ending.enter_context(Board.open(runtime_dir / BOARD_FILE))
            title = "SIMULATED CAR: "
            why = "as the settings say" if config.board == "simulated" else "this is no Raspberry Pi"
            print(f"agent: SIMULATED CAR: {why}; its pins are {board.path}", file=sys.stderr, flush=True)
        drivetrain = GpioDrivetrain(config.drive, BoardFactory(board) if board else None, board)
        save_plan(runtime_dir, drivetrain.neutral_writes())
        ending.callback(drivetrain.close)
        drivetrain.claim()
        diary = Diary(state_dir)
        ending.callback(diary.close)
        notifier = Notifier()
        ending.callback(notifier.close)
        guardian = Guardian(config, drivetrain, diary, e_stopped=read_latch(state_dir))
        supervisor = Supervisor(guardian, diary, worker_command(_worker_arguments(arguments)))
        ending.callback(supervisor.end)
        ending.callback(notifier.stopping)
        ending.callback(drivetrain.neutral)
        if not run_before_others():
            log.info("no real-time priority (CAP_SYS_NICE): ticks may be late beside busy processes")
        run(guardian, supervisor, diary, notifier, title=title, is_stopping=lambda: stop.is_asked)


def _lock(runtime_dir: Path, ending: contextlib.ExitStack) -> None:
    """Two guardians would fight over one motor."""
    file = ending.enter_context((runtime_dir / LOCK_FILE).open("w"))
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as exc:
        raise HardwareError(f"another agent runs in {runtime_dir}; stop it first") from exc


def _worker_arguments(arguments: argparse.Namespace) -> list[str]:
    options = ["--runtime-dir", str(arguments.runtime_dir), "--state-dir", str(arguments.state_dir)]
    if arguments.config is not None:
        options += ["--config", str(arguments.config)]
    if arguments.port is not None:
        options += ["--port", str(arguments.port)]
    return options


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="pynet-agent", description="the robot daemon")
    parser.add_argument("verb", nargs="?", choices=["run", "pair"], default="run")
    # systemd makes these folders and names them in the environment; a person has places of his own.
    runtime = Path(os.environ.get("XDG_RUNTIME_DIR", f"/tmp/user-{os.getuid()}"))
    state = Path(os.environ.get("XDG_STATE_HOME", "~/.local/state")).expanduser()
    for option, variable, base, keeps in (
        ("--runtime-dir", "RUNTIME_DIRECTORY", runtime, "what lives as long as the agent"),
        ("--state-dir", "STATE_DIRECTORY", state, "what outlives it: e-stop, identity, trusted devices"),
    ):
        folder = Path(os.environ.get(variable) or base / "pynet-agent")
        parser.add_argument(option, type=Path, default=folder, help=f"for {keeps} ({folder})")
    parser.add_argument("--config", type=Path, help="agent.toml; without it, the defaults")
    parser.add_argument("--port", type=int, help="to listen on, or to pair on; else that in the settings")
    parser.add_argument(
        "--role", choices=["viewer", "driver", "admin"], default="driver", help="of whom is paired with"
    )
    return parser


if __name__ == "__main__":
    sys.exit(main())
