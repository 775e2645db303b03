"""The robot daemon, `pynet-agent run`.  Builds the guardian, which starts all else."""

from __future__ import annotations

import argparse
import contextlib
import fcntl
import logging
import signal
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from pi_agent.config import AgentConfig, board_model, effective_drive, is_simulated, load_config
from pi_agent.diary import Diary, read_latch
from pi_agent.drivetrain import WiredDrivetrain
from pi_agent.guardian import Guardian
from pi_agent.journal import set_up_logging
from pi_agent.neutral import PLAN_FILE, save_plan, stop_all
from pi_agent.outputs.holding import hold
from pi_agent.outputs.opening import Outputs
from pi_agent.pins import header_pins, simulated_pins
from pi_agent.places import LOCK_FILE, own_runtime_dir, own_state_dir
from pi_agent.procs import (
    EXIT_CONFIG,
    adopt_orphans,
    leave_will,
    run_before_others,
    stay_in_memory,
    worker_command,
)
from pi_agent.supervisor import Supervisor, run
from pi_agent.systemd import Notifier
from pynet_car.world import BOARD_FILE
from pynet_car.world.board import Board
from pynet_car.world.memory import is_in_memory
from pynet_core.errors import ConfigError, HardwareError, PynetError

EXIT_ERROR: Final = 1
# By their defaults these end a program, or (Ctrl-Z, a terminal's no to one in the background) stop it, at
# once: the pins would keep what they have.  The kernel's two that nobody can catch are systemd's matter.
_ENDING: Final = (
    *(signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGQUIT, signal.SIGTSTP, signal.SIGXCPU),
    *(signal.SIGUSR1, signal.SIGUSR2, signal.SIGALRM, signal.SIGVTALRM, signal.SIGPROF, signal.SIGIO),
)
_NOT_FOR_US: Final = (signal.SIGTTIN, signal.SIGTTOU)

log = logging.getLogger(__name__)


class _Stop:
    """Set by the signals that ask us to end."""

    def __init__(self) -> None:
        self.is_asked = self.by_ctrl_z = False
        for number in _ENDING:
            signal.signal(number, self._ask)
        for number in _NOT_FOR_US:
            signal.signal(number, signal.SIG_IGN)

    def _ask(self, number: int, frame: object) -> None:
        self.is_asked = True
        self.by_ctrl_z = number == signal.SIGTSTP


def main(words: Sequence[str]) -> int:
    """Run until asked to end; the exit code: 0 asked to end, 1 cannot go on, 78 wrong settings."""
    arguments = _parser().parse_args(words)
    set_up_logging("agent")
    try:
        config = load_config(arguments.config)
        for folder in (arguments.runtime_dir, arguments.state_dir):
            folder.mkdir(parents=True, exist_ok=True)
        guard(config, arguments)
    except PynetError as exc:
        log.error("%s", exc)
        return EXIT_CONFIG if isinstance(exc, ConfigError) else EXIT_ERROR
    except OSError as exc:
        log.error("%s; both folders must be writable", exc)
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
        title = ""
        drive = effective_drive(config)
        notifier = Notifier()
        ending.callback(notifier.close)
        if is_simulated(config):
            board = ending.enter_context(Board.open(runtime_dir / BOARD_FILE))
            title = "SIMULATED CAR: "
            why = "as the settings say" if config.board == "simulated" else "this is no Raspberry Pi"
            log.info("SIMULATED CAR: %s; its pins are %s", why, board.path)
            if is_in_memory(runtime_dir) is False:
                log.warning("%s is on a disk: the pins wait for it when much is written to it", runtime_dir)
            if drive != config.drive:
                log.warning("the simulated car has its own motor and servo, not those of [drive]")
            pins = simulated_pins(board)
        else:
            pins = header_pins(runtime_dir)
        outputs = Outputs(pins, drive.pca9685)
        drivetrain = WiredDrivetrain(drive, outputs.open, "simulated board" if title else board_model())
        hold(drivetrain.neutral_writes(), ending)
        _stop_what_was_left(runtime_dir)
        save_plan(runtime_dir, drivetrain.neutral_writes())
        if not notifier.is_heard:  # systemd runs neutral.py after our death
            leave_will(runtime_dir, ending)
        ending.callback(drivetrain.close)
        drivetrain.claim()
        diary = Diary(state_dir)
        ending.callback(diary.close)
        guardian = Guardian(config, drivetrain, diary, e_stopped=read_latch(state_dir))
        supervisor = Supervisor(guardian, diary, worker_command(_worker_arguments(arguments)))
        ending.callback(supervisor.end)
        ending.callback(notifier.stopping)
        ending.callback(drivetrain.neutral)
        adopt_orphans()
        if not run_before_others():
            log.info("no real-time priority (RLIMIT_RTPRIO): ticks may be late beside busy processes")
        if not stay_in_memory():
            log.info("not locked in memory (RLIMIT_MEMLOCK): ticks may be late when it is short")
        run(guardian, supervisor, diary, notifier, title=title, is_stopping=lambda: stop.is_asked)
    if stop.by_ctrl_z:
        log.info("ended: an agent that is only suspended could not stop its motors")


def _lock(runtime_dir: Path, ending: contextlib.ExitStack) -> None:
    """Two guardians would fight over one motor."""
    file = ending.enter_context((runtime_dir / LOCK_FILE).open("w"))
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as exc:
        raise HardwareError(f"another agent runs in {runtime_dir}; stop it first") from exc


def _stop_what_was_left(runtime_dir: Path) -> None:
    """The agent before us may have died at speed, on other outputs than ours: only its plan knows them.

    systemd has seen to it already; who starts an agent by hand has nobody who would.
    """
    if problems := stop_all(str(runtime_dir)):
        raise HardwareError(
            f"a motor of the agent before this one may still run: {'; '.join(problems)}; "
            f"once you are sure that none does:  rm {runtime_dir / PLAN_FILE}"
        )


def _worker_arguments(arguments: argparse.Namespace) -> list[str]:
    options = ["--runtime-dir", str(arguments.runtime_dir), "--state-dir", str(arguments.state_dir)]
    if arguments.config is not None:
        options += ["--config", str(arguments.config)]
    if arguments.port is not None:
        options += ["--port", str(arguments.port)]
    return options


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="pynet-agent run", description="the robot daemon")
    for option, folder, keeps in (
        ("--runtime-dir", own_runtime_dir(), "what lives as long as the agent"),
        ("--state-dir", own_state_dir(), "what outlives it: e-stop, identity, trusted devices"),
    ):
        parser.add_argument(option, type=Path, default=folder, help=f"for {keeps} ({folder})")
    parser.add_argument("--config", type=Path, help="agent.toml; without it, the defaults")
    parser.add_argument("--port", type=int, help="to listen on, in place of the one in the settings")
    return parser
