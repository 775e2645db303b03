"""Facts out of a made-up machine, its files and what its commands say; and no machine makes an exception."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st

from pi_agent.cli import agent
from pi_agent.cli_doctor import findings
from pi_agent.doctor import facts as look
from pi_agent.doctor.facts import Run, Wifi
from pi_agent.doctor.finding import Level
from pi_agent.doctor.gathering import gather
from pi_agent.doctor.mending import mend_wifi
from pynet_core.errors import HardwareError
from pynet_core.keys import Identity
from pynet_core.trust import Trusted, TrustStore

CONFIG, RUNTIME, STATE = Path("/etc/pynet/agent.toml"), Path("/run/pynet-agent"), Path("/var/lib/pynet-agent")
SAYS = {
    "vcgencmd get_throttled": "throttled=0x50000\n",
    "rpicam-hello --list-cameras": (
        "Available cameras\n-----------------\n0 : imx708 [4608x2592 10-bit RGGB] (/base/soc/i2c0mux)\n"
        "    Modes: 'SRGGB10_CSI2P' : 1536x864 [120.13 fps]\n"
    ),
    "iw dev wlan0 get power_save": "Power save: on\n",
    "iw --version": "iw version 5.19\n",
    "timedatectl show --property=NTPSynchronized --value": "yes\n",
    "systemctl show --property=RuntimeWatchdogUSec --value": "0\n",
}


def machine(says: dict[str, str]) -> Run:
    """Answers a command as `says`; power save can be switched."""

    def run(command: Sequence[str]) -> str | None:
        if list(command[3:]) == ["set", "power_save", "off"]:
            says[f"iw dev {command[2]} get power_save"] = "Power save: off\n"
            return ""
        if command[:2] == ["systemctl", "show"] and "pynet-agent.service" in command:
            return says.get("unit")
        return says.get(" ".join(command))

    return run


def put(root: Path, files: dict[str, str]) -> None:
    for name, text in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)


@pytest.fixture
def pi(tmp_path: Path) -> Path:
    put(
        tmp_path,
        {
            "proc/device-tree/model": "Raspberry Pi 4 Model B Rev 1.5\0",
            "etc/os-release": 'PRETTY_NAME="Debian GNU/Linux 12 (bookworm)"\nVERSION_CODENAME=bookworm\n',
            "etc/passwd": "root:x:0:0::/root:/bin/sh\npynet:x:990:990::/:/usr/sbin/nologin\n",
            "etc/group": f"gpio:x:{os.getgid()}:pynet,pi\nvideo:x:44:pynet\npynet:x:990:\nodd line\n",
            "dev/gpiochip0": "",
            "dev/null": "",
            "boot/firmware/config.txt": "dtparam=spi=on\n",
            "sys/class/net/eth0/address": "",
            "sys/class/net/wlan0/wireless/x": "",
            "proc/net/wireless": "Inter-|\n face |\n wlan0: 0000   52.  -58.  -256        0      0\n",
            "proc/net/tcp": "  sl\n   0: 0100007F:0741 0 0A 0:0 0:0 0 0 0 4711 1\n".replace(
                " 0 0A 0:0 0:0 0 ", " 00000000:0000 0A 0:0 00:0 0 "
            ),
            "proc/77/comm": "nginx\n",
            "sys/class/thermal/thermal_zone0/temp": "61234\n",
            "dev/watchdog0": "",
            "etc/pynet/agent.toml": 'name = "rover"\n',
        },
    )
    (tmp_path / "proc/77/fd").mkdir()
    (tmp_path / "proc/77/fd/3").symlink_to("socket:[4711]")
    (tmp_path / "dev/gpiochip0").chmod(0o660)
    return tmp_path


def test_a_pi_is_read_from_its_files_and_commands(pi: Path) -> None:
    facts = gather(CONFIG, RUNTIME, STATE, root=pi, run=machine(dict(SAYS)))
    assert facts.model == "Raspberry Pi 4 Model B Rev 1.5"
    assert (facts.os_name, facts.os_codename) == ("Debian GNU/Linux 12 (bookworm)", "bookworm")
    assert [(device.path, device.group, device.mode) for device in facts.devices] == [
        ("/dev/gpiochip0", "gpio", 0o660)
    ]
    assert (facts.user, facts.groups) == ("pynet", frozenset({"gpio", "video", "pynet"}))
    assert facts.cameras == ("imx708 [4608x2592 10-bit RGGB] (/base/soc/i2c0mux)",)
    assert facts.wifi == (Wifi("wlan0", True, -58.0),)
    assert facts.listener == look.Listener(77, "nginx")
    assert (facts.throttled, facts.temperature_c) == (0x50000, 61.234)
    assert (facts.watchdog_device, facts.watchdog_armed) == (True, False)
    assert facts.clock_synchronized is True
    assert (facts.config.name, facts.config_problems) == ("rover", ())
    assert (facts.identity, facts.e_stop) == ("none", "")
    assert facts.python == sys.version_info[:3]


def test_undervoltage_is_seen_without_vcgencmd_too(tmp_path: Path) -> None:
    put(
        tmp_path,
        {"sys/class/hwmon/hwmon1/name": "rpi_volt\n", "sys/class/hwmon/hwmon1/in0_lcrit_alarm": "1\n"},
    )
    assert look.power(tmp_path, machine({})) == 1
    assert look.power(tmp_path / "none", machine({})) is None


def test_identity_trust_and_e_stop_are_read(pi: Path) -> None:
    state = pi / "var/lib/pynet-agent"
    Identity.new().save(state)
    TrustStore(state / "trusted").add(Trusted("driver", "laptop", Identity.new().certificate))
    TrustStore(state / "trusted").add(Trusted("gateway", "other", Identity.new().certificate))
    (state / "e_stop").write_text("pressed by laptop\n")
    facts = gather(CONFIG, RUNTIME, STATE, root=pi, run=machine({}))
    assert (facts.identity, facts.callers, facts.e_stop) == ("ok", 1, "pressed by laptop")
    (state / "identity.pem").chmod(0o644)
    assert "can be read by others" in gather(CONFIG, RUNTIME, STATE, root=pi, run=machine({})).identity


def test_a_runtime_folder_on_a_disk_is_told_from_one_in_memory(pi: Path) -> None:
    number = pi.stat().st_dev
    mount = f"36 22 {os.major(number)}:{os.minor(number)} / / rw - KIND none rw\n"
    (pi / "run/pynet-agent").mkdir(parents=True)
    for kind, told in (("ext4", False), ("tmpfs", True)):
        put(pi, {"proc/self/mountinfo": mount.replace("KIND", kind)})
        assert gather(CONFIG, RUNTIME, STATE, root=pi, run=machine({})).runtime_in_memory is told


def test_wrong_settings_are_findings_and_the_rest_is_looked_at_all_the_same(pi: Path) -> None:
    put(pi, {"etc/pynet/agent.toml": "[drive]\nlifespan_ms = 1\n"})
    facts = gather(CONFIG, RUNTIME, STATE, root=pi, run=machine({}))
    (problem,) = facts.config_problems
    assert problem.startswith("/etc/pynet/agent.toml:2: drive.lifespan_ms: found 1")
    assert "board" in {found.check for found in findings(facts)}
    (pi / "etc/pynet/agent.toml").unlink()
    assert "cannot be read" in gather(CONFIG, RUNTIME, STATE, root=pi, run=machine({})).config_problems[0]


def test_the_service_is_read_from_systemd() -> None:
    says = "LoadState=loaded\nActiveState=active\nExecStopPost={ argv[]=a=b }\nOther=1\n"
    assert look.unit(machine({"unit": says}), "pynet-agent") == {
        "LoadState": "loaded",
        "ActiveState": "active",
        "ExecStopPost": "{ argv[]=a=b }",
    }
    assert look.unit(machine({}), "pynet-agent") == {}


def test_a_command_that_is_missing_fails_or_hangs_is_no_exception(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(look, "RUN_S", 0.2)
    assert look.run(["no-such-command-here"]) is None
    assert look.run(["false"]) is None
    assert look.run(["sleep", "9"]) is None
    assert look.run(["echo", "hi"]) == "hi\n"


def test_power_save_is_switched_off_now_and_for_good(pi: Path) -> None:
    (pi / "etc/NetworkManager").mkdir()
    run = machine(dict(SAYS))
    told = list(mend_wifi(pi, run, is_root=True))
    assert told == [
        "wlan0: power save is off now",
        "and stays off: /etc/NetworkManager/conf.d/pynet-wifi.conf",
    ]
    assert "wifi.powersave = 2" in (pi / "etc/NetworkManager/conf.d/pynet-wifi.conf").read_text()
    assert look.wireless(pi, run)[0].power_save is False


def test_without_network_manager_udev_keeps_it_off(pi: Path) -> None:
    list(mend_wifi(pi, machine(dict(SAYS)), is_root=True))
    assert "set power_save off" in (pi / "etc/udev/rules.d/90-pynet-wifi.rules").read_text()


@pytest.mark.parametrize(
    ("says", "is_root", "why"),
    [
        (SAYS, False, "sudo pynet-agent doctor --fix wifi"),
        ({}, True, "sudo apt install iw"),
    ],
)
def test_what_cannot_be_mended_is_told(pi: Path, says: dict[str, str], is_root: bool, why: str) -> None:
    with pytest.raises(HardwareError, match=why):
        list(mend_wifi(pi, machine(dict(says)), is_root=is_root))
    assert not (pi / "etc/udev").exists()


def test_a_driver_that_will_not_is_told(pi: Path) -> None:
    def stubborn(command: Sequence[str]) -> str | None:
        return None if "set" in command else SAYS.get(" ".join(command))

    with pytest.raises(HardwareError, match="keeps power save on"):
        list(mend_wifi(pi, stubborn, is_root=True))
    with pytest.raises(HardwareError, match="no Wi-Fi"):
        list(mend_wifi(pi / "none", stubborn, is_root=True))


NOISE = st.dictionaries(
    st.sampled_from(
        [
            "proc/device-tree/model",
            "proc/cmdline",
            "proc/net/wireless",
            "proc/net/tcp",
            "etc/os-release",
            "etc/passwd",
            "etc/group",
            "etc/pynet/agent.toml",
            "boot/config.txt",
            "sys/class/net/wlan0/phy80211",
            "sys/class/thermal/thermal_zone0/temp",
            "sys/class/hwmon/hwmon0/name",
            "var/lib/pynet-agent/identity.pem",
            "var/lib/pynet-agent/trusted",
            "var/lib/pynet-agent/e_stop",
            "dev/gpiochip0",
        ]
    ),
    st.binary(max_size=80)
    | st.sampled_from([b"Raspberry Pi 5", b"gpio=99-1,,x=op,dl", b"dtoverlay=w1-gpio,gpiopin="]),
)


@given(NOISE, st.text(max_size=40))
def test_no_machine_makes_a_traceback(files: dict[str, bytes], said: str) -> None:
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        for name, content in files.items():
            (root / name).parent.mkdir(parents=True, exist_ok=True)
            (root / name).write_bytes(content)
        facts = gather(CONFIG, RUNTIME, STATE, root=root, run=lambda command: said)
        assert all(found.level is Level.OK or found.fix for found in findings(facts))


def test_the_verb_runs_here_fails_on_a_problem_and_speaks_json(tmp_path: Path, free_port: int) -> None:
    good = tmp_path / "agent.toml"
    good.write_text(f'board = "simulated"\n[gateway]\nport = {free_port}\n')
    where = ["--config", str(good), "--state-dir", str(tmp_path), "--runtime-dir", str(tmp_path)]
    command = [sys.executable, "-m", "pi_agent", "doctor", *where]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stderr == ""
    with socket.create_server(("127.0.0.1", free_port)):
        shown = CliRunner().invoke(agent, ["doctor", "--json", *where])
    assert shown.exit_code == 1
    (problem,) = [found for found in json.loads(shown.stdout) if found["level"] == "problem"]
    assert problem["check"] == "port"
    assert f"{free_port} is taken by" in problem["what"]
