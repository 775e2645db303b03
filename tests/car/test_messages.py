"""The contract's own traps."""

from __future__ import annotations

import subprocess
import sys
import textwrap

import pytest

from pynet_car.messages import Status, decode


def test_twenty_threads_may_be_the_first_to_decode_a_status() -> None:
    """msgspec 0.22 crashed in about 1 of 30 such starts; two status streams begin just so."""
    script = textwrap.dedent("""
        import sys, threading
        from pynet_car.messages import State, Status, decode, encode
        sys.setswitchinterval(1e-6)
        data = encode(Status(boot=1, stamp_ns=1, state=State.ARMED, reason="x"))
        barrier = threading.Barrier(20)
        def run():
            barrier.wait()
            decode(data, Status)
        threads = [threading.Thread(target=run) for _ in range(20)]
        for thread in threads: thread.start()
        for thread in threads: thread.join()
    """)
    for _ in range(10):
        assert subprocess.run([sys.executable, "-c", script], check=False).returncode == 0


def test_lists_nested_deeper_than_the_stack_are_a_value_error() -> None:
    with pytest.raises(ValueError, match="Status"):
        decode(b"\x81\xa1x" + b"\x91" * 100_000 + b"\xc0", Status)
