from __future__ import annotations

import os
import select
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from pi_agent.procs import OOM_SCORE, Backoff, WorkerProcess
from pynet_core.errors import HardwareError, LinkClosed


def start(program: str) -> WorkerProcess:
    return WorkerProcess([sys.executable, "-c", program])


def open_files() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


def test_the_pause_doubles_to_eight_seconds() -> None:
    backoff = Backoff()
    assert [backoff.after(0.1) for _ in range(6)] == [0.5, 1.0, 2.0, 4.0, 8.0, 8.0]


def test_ten_good_seconds_start_the_count_anew() -> None:
    backoff = Backoff()
    assert [backoff.after(ran_s) for ran_s in (0.0, 9.9, 10.0, 0.0)] == [0.5, 1.0, 0.5, 1.0]


def test_a_worker_gets_its_end_of_the_link_and_nothing_of_systemds(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NOTIFY_SOCKET", "/run/systemd/notify")
    program = """if True:
        import os, socket, sys
        sock = socket.socket(fileno=int(sys.argv[2]))
        sock.send(repr(("NOTIFY_SOCKET" in os.environ, os.getpid() == os.getpgid(0), sys.argv[1])).encode())
        sock.recv(1)
    """
    worker = start(program)
    assert not worker.is_dead(0.0)
    worker.link._sock.setblocking(True)
    assert worker.link._sock.recv(100) == b"(False, True, '--link-fd')"
    worker.kill()
    assert worker.bury() == -signal.SIGKILL


def test_a_death_is_seen_and_reads_as_the_end_of_the_link() -> None:
    worker = start("raise SystemExit(3)")
    assert worker.is_dead(5.0)
    with pytest.raises(LinkClosed):
        worker.link.receive()
    assert worker.bury() == 3


def test_a_program_that_is_not_there_is_a_hardware_error_and_leaks_nothing() -> None:
    before = open_files()
    with pytest.raises(HardwareError, match="cannot start the worker"):
        WorkerProcess(["/nonexistent/python"])
    assert open_files() == before


def test_a_child_that_left_the_workers_group_is_buried_with_it_where_orphans_are_adopted() -> None:
    """In a process of its own: it kills all its children."""
    program = """if True:
        import os, sys
        from pi_agent.procs import WorkerProcess, adopt_orphans
        adopt_orphans()
        fork = "import os, time; os.fork() or (os.setsid(), print(os.getpid(), flush=True), time.sleep(100))"
        reader, writer = os.pipe()
        os.dup2(writer, 1)
        worker = WorkerProcess([sys.executable, "-c", fork])
        orphan = int(os.read(reader, 100))
        assert worker.is_dead(5.0)
        os.kill(orphan, 0)
        assert worker.bury() == 0
        try:
            os.kill(orphan, 0)
        except ProcessLookupError:
            raise SystemExit(0)
        raise SystemExit("it lives on")
    """
    done = subprocess.run([sys.executable, "-c", program], timeout=20, check=False)
    assert done.returncode == 0


def test_asking_a_dead_worker_to_end_is_no_error() -> None:
    worker = start("")
    assert worker.is_dead(5.0)
    worker.ask_to_end()
    assert worker.bury() == 0


def test_a_child_dies_with_the_process_that_started_it() -> None:
    child = "from pi_agent.procs import die_with_parent; die_with_parent(); print('up', flush=True); input()"
    parent = f"""if True:
        import subprocess, sys
        pipe = subprocess.PIPE
        child = subprocess.Popen([sys.executable, "-c", {child!r}], stdout=pipe, stdin=pipe)
        child.stdout.readline()
        print(child.pid, flush=True)
        input()
    """
    with subprocess.Popen(
        [sys.executable, "-c", parent], stdout=subprocess.PIPE, stdin=subprocess.PIPE
    ) as process:
        assert process.stdout is not None
        pidfd = os.pidfd_open(int(process.stdout.readline()))
        process.kill()
    assert select.select([pidfd], [], [], 1.0)[0], "the child outlived its parent"
    os.close(pidfd)


def test_threads_started_later_do_not_inherit_real_time() -> None:
    """In a process of its own: priorities stay."""
    program = """if True:
        import os, threading
        from pi_agent.procs import run_before_others
        if not run_before_others(): raise SystemExit(77)
        seen = []
        thread = threading.Thread(target=lambda: seen.append(os.sched_getscheduler(0)))
        thread.start(); thread.join()
        assert os.sched_getscheduler(0) & ~os.SCHED_RESET_ON_FORK == os.SCHED_FIFO
        assert seen == [os.SCHED_OTHER], seen
    """
    done = subprocess.run([sys.executable, "-c", program], timeout=10, check=False)
    if done.returncode == 77:
        pytest.skip("needs CAP_SYS_NICE")
    assert done.returncode == 0


def test_who_asks_to_be_killed_first_will_be() -> None:
    program = """if True:
        from pi_agent.procs import be_killed_first
        be_killed_first()
        print(open("/proc/self/oom_score_adj").read())
    """
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert int(done.stdout) == OOM_SCORE


def test_a_process_that_stays_in_memory_has_all_of_it_locked_and_still_starts_threads() -> None:
    program = """if True:
        import threading
        from pi_agent.procs import stay_in_memory
        if not stay_in_memory(): raise SystemExit(77)
        for _ in range(20):
            threading.Thread(target=lambda: None).start()
        lines = dict(line.split(":", 1) for line in open("/proc/self/status"))
        print(lines["VmLck"].split()[0], lines["VmRSS"].split()[0])
    """
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    if done.returncode == 77:
        pytest.skip("needs CAP_IPC_LOCK, or no limit on locked memory")
    locked_kb, resident_kb = map(int, done.stdout.split())
    assert locked_kb >= resident_kb / 2
    assert resident_kb < 200_000


def test_one_who_runs_before_others_already_is_told_so_where_asking_is_forbidden() -> None:
    program = """if True:
        import os
        from unittest import mock
        from pi_agent.procs import run_before_others
        first = run_before_others()
        with mock.patch("os.sched_setscheduler", side_effect=PermissionError):
            print(first, run_before_others())
    """
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    first, second = done.stdout.split()
    assert first == second
