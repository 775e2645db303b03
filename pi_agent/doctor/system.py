"""What the facts mean for system, network, trust and service.  Pure."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from pi_agent.doctor.facts import Facts
from pi_agent.doctor.finding import Check, Finding, bad, ok, warn
from pi_agent.doctor.wiring import is_pi_car
from pi_agent.places import SERVICE
from pynet_core.admission import is_loopback

LOW_SIGNAL_DBM: Final = -75.0
LITTLE_BYTES: Final = 100_000_000
FEW_INODES: Final = 1000
OLDEST_WALL_S: Final = 1_735_689_600.0  # 2025: an older clock was never set
TESTED: Final = ("bookworm", "trixie")
SLOW_KERNELS: Final = {"6.18.39": "raspberrypi/linux#7568: 105-113 ms pings even with power save off"}


def check_system(facts: Facts) -> Iterator[Finding]:
    version = ".".join(map(str, facts.python))
    what = f"{facts.os_name or 'an unknown system'}, Linux {facts.kernel}, Python {version}"
    if facts.model and facts.os_codename not in TESTED:
        fix = f"for what has been tried take Raspberry Pi OS {' or '.join(TESTED)}"
        yield warn("system", f"{what}: not tried", "/etc/os-release", fix)
    else:
        yield ok("system", what, "/etc/os-release")
    for kernel, why in SLOW_KERNELS.items():
        if facts.model and facts.kernel.startswith(kernel):
            yield warn(
                "system", f"this kernel is slow over Wi-Fi: {why}", "uname -r", "sudo apt full-upgrade"
            )


def check_settings(facts: Facts) -> Iterator[Finding]:
    for problem in facts.config_problems:
        yield bad("settings", problem, facts.config_file, f"sudo nano {facts.config_file}")
    if not facts.config_problems:
        yield ok("settings", "no errors" if facts.config_file else "the defaults", facts.config_file)


def check_wifi(facts: Facts) -> Iterator[Finding]:
    for link in facts.wifi:
        where = f"iw dev {link.name} get power_save"
        if link.power_save is None:
            yield warn(
                "wifi", f"{link.name}: whether it saves power cannot be told", where, "sudo apt install iw"
            )
        elif link.power_save:
            what = f"{link.name}: power save is on: commands come up to 2 s late, and the car stops each time"
            yield warn("wifi", what, where, "sudo pynet-agent doctor --fix wifi")
        else:
            yield ok("wifi", f"{link.name}: power save is off", where)
        if link.signal_dbm is not None and link.signal_dbm < LOW_SIGNAL_DBM:
            what = f"{link.name}: weak signal, {link.signal_dbm:.0f} dBm"
            fix = "drive nearer to the access point, or use its 2.4 GHz band: it reaches further"
            yield warn("wifi", what, "/proc/net/wireless", fix)


def check_clock(facts: Facts) -> Iterator[Finding]:
    if facts.wall_s < OLDEST_WALL_S:
        what = "the clock was never set; driving does not mind, logs and recordings do"
        yield warn("clock", what, "date", "sudo timedatectl set-ntp true   # and a way to the internet")
    elif facts.clock_synchronized is False:
        what = "the clock is not synchronized; driving does not mind, logs and recordings do"
        yield warn("clock", what, "timedatectl", "sudo timedatectl set-ntp true")
    elif facts.clock_synchronized:
        yield ok("clock", "synchronized", "timedatectl")
    else:
        yield ok("clock", "set; whether it is synchronized cannot be told")


def check_disk(facts: Facts) -> Iterator[Finding]:
    for disk in facts.disks:
        free = f"{disk.path}: {disk.free_bytes / 1e6:.0f} MB free"
        if disk.read_only:
            what = f"{disk.path} is read-only: an e-stop is not kept over a restart"
            yield bad(
                "disk", what, "mount", "sudo mount -o remount,rw /   # and see dmesg: the card may be dying"
            )
        elif disk.free_bytes < LITTLE_BYTES or (disk.free_inodes or FEW_INODES) < FEW_INODES:
            fix = "sudo apt clean; sudo journalctl --vacuum-size=50M"
            yield warn("disk", f"{free}, {disk.free_inodes} files more", f"df {disk.path}", fix)
        else:
            yield ok("disk", free, f"df {disk.path}")
    if facts.runtime_in_memory is False and not is_pi_car(facts.config, facts.model):
        # No file of a real car's is touched while it drives.
        what = (
            f"{facts.runtime_dir} is on a disk: the simulated car's pins wait, up to 0.6 s, when that is busy"
        )
        fix = "pynet-agent run --runtime-dir /dev/shm/pynet-agent, and the world with the same"
        yield warn("disk", what, f"df {facts.runtime_dir}", fix)


def check_trust(facts: Facts) -> Iterator[Finding]:
    pair = "sudo pynet-agent pair"
    if facts.identity == "unseen":
        yield warn("trust", "identity and list: not looked at", facts.state_dir, "sudo pynet-agent doctor")
    elif facts.identity not in ("ok", "none"):
        yield bad(
            "trust", facts.identity, facts.state_dir, "as it says, then:  sudo systemctl restart pynet-agent"
        )
    elif _is_loopback_only(facts):
        what = f"only programs on this machine can call (host = {facts.config.gateway.host!r})"
        yield ok("trust", what, facts.config_file)
    elif facts.identity == "none":
        what = "other machines may call, but the robot has no identity: the agent refuses to start"
        yield bad("trust", what, facts.state_dir, pair)
    elif not facts.callers:
        yield warn("trust", "no device is trusted, so nobody can drive", facts.state_dir, pair)
    else:
        yield ok(
            "trust", f"{facts.callers} device{'s' if facts.callers > 1 else ''} may call", facts.state_dir
        )


def check_port(facts: Facts) -> Iterator[Finding]:
    port = facts.agent_port or facts.config.gateway.port
    if facts.agent_port is not None:
        yield ok("port", f"the agent listens on {port}")
    elif facts.listener is None:
        yield ok("port", f"{port} is free")
    else:
        who = facts.listener.command or "another program"
        kill = f"sudo kill {facts.listener.pid}" if facts.listener.pid else f"sudo ss -ltnp 'sport = :{port}'"
        fix = f"{kill}   # or another port in [gateway]"
        # It may be an agent: `./run sim` has a folder of its own.
        what = f"{port} is taken by {who}, which is not the agent of {facts.runtime_dir}"
        yield bad("port", what, "/proc/net/tcp", fix)


def check_unit(facts: Facts) -> Iterator[Finding]:
    unit, where = facts.unit, f"systemctl status {SERVICE}"
    if unit.get("LoadState", "not-found") == "not-found":
        if facts.model:
            what = "the service is not installed: nothing stops the motors after a crash"
            yield warn("service", what, where, "sudo apt install ./pynet-agent_*.deb")
        else:
            yield ok("service", "not installed as a service here")
        return
    active, logs = unit.get("ActiveState", ""), f"journalctl -u {SERVICE} -n 30"
    if active == "active":
        yield ok("service", f"active: {unit.get('StatusText') or unit.get('SubState', '')}", where)
    elif active == "failed" or unit.get("Result", "success") != "success":
        result = f"{active}, result {unit.get('Result')}: {unit.get('StatusText', '')}"
        fix = f"{logs}; mend that, then:  sudo systemctl restart {SERVICE}"
        yield bad("service", result, where, fix)
    else:
        yield warn("service", f"{active or 'not running'}", where, f"sudo systemctl start {SERVICE}")
    if unit.get("UnitFileState") not in ("enabled", "enabled-runtime"):
        yield warn("service", "does not start at boot", where, f"sudo systemctl enable {SERVICE}")
    if unit.get("NRestarts", "0") not in ("0", ""):
        yield warn("service", f"restarted {unit['NRestarts']} times since it was started", where, logs)
    if not is_pi_car(facts.config, facts.model) and facts.world_unit != "active":
        fix = "sudo apt install ./pynet-agent-sim_*.deb; sudo systemctl enable --now pynet-agent-sim"
        yield warn("service", "the simulated car has no world: no pictures, and it does not move", where, fix)
    drop_ins = unit.get("DropInPaths", "")
    remove = f"sudo systemctl revert {SERVICE} && sudo systemctl restart {SERVICE}"
    if unit.get("WatchdogUSec", "0") in ("0", "infinity", ""):
        yield bad(
            "service",
            "WatchdogSec is off: an agent that hangs would not be stopped",
            drop_ins or where,
            remove,
        )
    if "neutral.py" not in unit.get("ExecStopPost", ""):
        what = "ExecStopPost does not run neutral.py: motors may run on after the agent dies"
        yield bad("service", what, drop_ins or where, remove)
    if drop_ins:
        yield ok("service", f"changed by {drop_ins}", f"systemctl cat {SERVICE}")


def check_e_stop(facts: Facts) -> Iterator[Finding]:
    if facts.e_stop:
        fix = "pynet-desktop, and there hold RESET; any driver may"
        yield warn("e-stop", f"is latched: {facts.e_stop}", f"{facts.state_dir}/e_stop", fix)
    elif facts.e_stop == "":
        yield ok("e-stop", "not latched")


def _is_loopback_only(facts: Facts) -> bool:
    host = facts.config.gateway.host
    return host == "localhost" or is_loopback(host)


CHECKS: Final[tuple[Check, ...]] = (
    check_system,
    check_settings,
    check_wifi,
    check_clock,
    check_disk,
    check_trust,
    check_port,
    check_unit,
    check_e_stop,
)
