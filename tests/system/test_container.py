"""The machines that the service is tried on are real enough: what a fault test relies on."""

from __future__ import annotations

import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.system.base_root import CannotRun, base_root
from tests.system.container import Container

pytestmark = [pytest.mark.system, pytest.mark.root, pytest.mark.shared]


@pytest.fixture(scope="module")
def box() -> Iterator[Container]:
    try:
        base = base_root("bookworm")
    except CannotRun as exc:
        pytest.skip(str(exc))
    with Container(base) as box:
        yield box


def test_systemd_is_pid_1_and_nothing_has_failed(box: Container) -> None:
    assert box.path("/proc/1/comm").read_text() == "systemd\n"
    assert box.run("systemctl --failed --no-legend").stdout == ""


def test_it_answers_at_the_other_end_of_the_cable_and_this_machine_knows_no_way_there(box: Container) -> None:
    """Nothing listens there, and only a machine that is there can say so."""
    knock = f"import socket; socket.create_connection(({box.ADDRESS!r}, 9), 2)"
    answer = subprocess.run(box.outside(sys.executable, "-c", knock), capture_output=True, text=True)
    assert "ConnectionRefusedError" in answer.stderr
    assert box.CABLE not in {name for _, name in socket.if_nameindex()}


def test_a_service_has_the_devices_that_it_is_allowed_and_no_others(box: Container) -> None:
    """Silently not so where systemd cannot load its BPF programs."""
    probe = "systemd-run -q --wait -p DevicePolicy=closed -p DeviceAllow='/dev/tty rw' "
    assert box.run(probe + "sh -c 'head -c0 /dev/full'", check=False).returncode == 0  # one of `closed`
    box.run("mknod -m 666 /dev/other c 1 1")  # /dev/mem's number: made, but not to be opened
    assert box.run(probe + "sh -c 'head -c0 /dev/other'", check=False).returncode != 0


def test_a_process_in_there_is_found_from_here(box: Container) -> None:
    box.run("systemd-run -q --unit=sleeper sleep 100")
    pid = box.pid(int(box.show("sleeper", "MainPID")["MainPID"]))
    assert Path(f"/proc/{pid}/comm").read_text() == "sleep\n"


def test_its_disk_outlives_a_power_cut_and_not_its_end(box: Container) -> None:
    box.path("/etc/kept").write_text("yes")
    box.path("/run/lost").write_text("no")
    box.kill()
    assert box.path("/etc/kept").read_text() == "yes"
    box.start()
    assert box.run("cat /etc/kept").stdout == "yes"
    assert not box.path("/run/lost").exists()


def test_a_killed_test_leaves_no_machine_running(box: Container) -> None:
    program = """if True:
        import sys, time
        from pathlib import Path
        from tests.system.container import Container
        box = Container(Path(sys.argv[1]))
        box.start()
        print(box._cgroup, flush=True)
        time.sleep(100)
    """
    command = [sys.executable, "-c", program, str(base_root("bookworm"))]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as test:
        try:
            assert test.stdout is not None
            events = Path(test.stdout.readline().strip(), "cgroup.events")
            assert "populated 1" in events.read_text()
        finally:
            test.kill()
    until_s = time.monotonic() + 10.0
    while events.exists():
        assert time.monotonic() < until_s, "it runs on"
        time.sleep(0.05)
