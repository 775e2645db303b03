"""Many pairs between two machines: a gateway lets only some of them in at a time.  Loopback is exempt."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path
from typing import Final

import pytest

from tests.core.shell import PYNET, TIMEOUT_S
from tests.core.tree_place import assert_same
from tests.system.two_machines import NoNamespaces, two_machines

pytestmark = [pytest.mark.system, pytest.mark.root, pytest.mark.shared]

PAIRS: Final = 16
WITH_KEY: Final = {**os.environ, "PYNET_KEY": "a key of this test, and of nothing else"}


def test_as_many_pairs_as_are_wanted_carry_files_between_two_machines(tmp_path: Path) -> None:
    for number in range(4000):
        path = tmp_path / f"tree/{number % 40}/{number}"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(bytes(number))
    try:
        with two_machines() as (there, here):
            serve = [*there.inside, *PYNET, "serve", "--root", str(tmp_path / "tree"), "--pool", "20"]
            with subprocess.Popen(serve, env=WITH_KEY, stdout=subprocess.PIPE, text=True) as serving:
                assert serving.stdout is not None
                assert "listens" in serving.stdout.readline()
                get = ["get", there.address, f"{tmp_path}/tree/", "--into", str(tmp_path / "down")]
                slow = ["--pairs", str(PAIRS), "--limit", "4M"]  # so that all of them come in time
                call = [*here.inside, *PYNET, *get, *slow, "--json"]
                done = subprocess.run(call, env=WITH_KEY, capture_output=True, text=True, timeout=TIMEOUT_S)
                serving.terminate()
    except NoNamespaces as exc:
        pytest.skip(str(exc))
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout.splitlines()[-1])["pairs"] == PAIRS
    assert_same(tmp_path / "tree", tmp_path / "down")
