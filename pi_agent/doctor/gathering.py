"""All facts of this machine, put together."""

from __future__ import annotations

import os
import pwd
from pathlib import Path

from pi_agent.config import AgentConfig, check_config
from pi_agent.diary import read_latch
from pi_agent.doctor import facts as look
from pi_agent.doctor.facts import Facts, Run
from pi_agent.places import SERVICE, SERVICE_USER, WORLD_SERVICE
from pi_agent.report import ask_report
from pynet_car.world.memory import is_in_memory
from pynet_core.errors import ConfigError, PynetError
from pynet_core.keys import Identity
from pynet_core.trust import TRUST_FILE, TrustStore


def gather(
    config_file: Path | None,
    runtime_dir: Path,
    state_dir: Path,
    *,
    root: Path = Path("/"),
    run: Run = look.run,
) -> Facts:
    """Ask for everything; takes as long as the slowest of a few small commands.

    The three paths are those of the running system, `root` is put before them.
    """
    config, problems = _settings(config_file, root)
    os_name, os_codename = look.os_release(root)
    machine, kernel, python, wall_s = look.machine()
    agent_port = _agent_port(_below(root, runtime_dir))
    user, groups = _agent_user(root)
    identity, callers = _trust(_below(root, state_dir))
    disks = (look.disk(root, folder) for folder in (state_dir, runtime_dir))
    return Facts(
        model=look.board_model(root),
        machine=machine,
        kernel=kernel,
        os_name=os_name,
        os_codename=os_codename,
        python=python,
        modules=look.module_versions(),
        header_pwm=look.header_pwm(root),
        devices=look.devices(root),
        user=user,
        groups=groups,
        boot_config=look.boot_config(root),
        kernel_command_line=look.read(root / "proc/cmdline"),
        cameras=look.cameras(run),
        wifi=look.wireless(root, run),
        clock_synchronized=look.clock_synchronized(root, run),
        wall_s=wall_s,
        disks=tuple(disk for disk in disks if disk is not None),
        runtime_dir=str(runtime_dir),
        runtime_in_memory=is_in_memory(_below(root, runtime_dir), root / "proc/self/mountinfo"),
        config=config,
        config_file="" if config_file is None else str(config_file),
        config_problems=problems,
        identity=identity,
        callers=callers,
        state_dir=str(state_dir),
        e_stop=_e_stop(_below(root, state_dir)),
        listener=None if agent_port else look.listener(root, config.gateway.port),
        agent_port=agent_port,
        unit=look.unit(run, SERVICE),
        world_unit=look.unit(run, WORLD_SERVICE).get("ActiveState", ""),
        throttled=look.power(root, run),
        temperature_c=look.temperature_c(root),
        watchdog_device=any((root / "dev" / name).exists() for name in ("watchdog0", "watchdog")),
        watchdog_armed=look.watchdog_armed(run),
    )


def _below(root: Path, path: Path) -> Path:
    return root / path.absolute().relative_to("/")


def _settings(file: Path | None, root: Path) -> tuple[AgentConfig, tuple[str, ...]]:
    """The settings, or the defaults and what is wrong with the file."""
    if file is None:
        return AgentConfig(), ()
    try:
        text = _below(root, file).read_text("utf-8")
    except (OSError, ValueError) as exc:
        return AgentConfig(), (f"{file}: cannot be read: {exc}",)
    config, problems = check_config(text, str(file))
    return (AgentConfig() if problems else config), tuple(map(str, problems))


def _agent_port(runtime_dir: Path) -> int | None:
    try:
        return ask_report(runtime_dir).port
    except (PynetError, OSError):
        return None


def _agent_user(root: Path) -> tuple[str, frozenset[str] | None]:
    """The service's user and its groups; where there is none, whoever asks."""
    groups = look.groups_of(root, SERVICE_USER)
    if groups is not None:
        return SERVICE_USER, groups
    try:
        name = pwd.getpwuid(os.geteuid()).pw_name
    except KeyError:
        name = str(os.geteuid())
    return name, look.groups_of(root, name)


def _trust(state_dir: Path) -> tuple[str, int]:
    """(Facts.identity, Facts.callers)."""
    if not state_dir.exists():
        return "none", 0
    if not os.access(state_dir, os.R_OK | os.X_OK):
        return "unseen", 0
    try:
        identity = Identity.load(state_dir)
        callers = sum(device.may_call for device in TrustStore(state_dir / TRUST_FILE).devices)
    except ConfigError as exc:
        return str(exc), 0
    return ("none" if identity is None else "ok"), callers


def _e_stop(state_dir: Path) -> str | None:
    if state_dir.exists() and not os.access(state_dir, os.R_OK | os.X_OK):
        return None
    return read_latch(state_dir)
