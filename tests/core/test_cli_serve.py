"""`pynet serve` and `pynet bench`."""

from __future__ import annotations

import json
import os
import signal
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from pynet_core.admission import EVERYWHERE
from pynet_core.cli import pynet
from pynet_core.cli_bench import FRAME_BYTES, PING_BYTES, SMALL_BYTES
from pynet_core.cli_targets import load_target
from pynet_core.controller import Controller
from pynet_core.errors import ConfigError, FilesError
from pynet_core.gateway import Gateway
from tests.core.loopback import collected
from tests.core.shell import json_keys, started

GREENHOUSE = """
from pynet_core.gateway import Gateway

def add(a, b):
    return str(a + b).encode()

def count(end=3):
    "Count up."
    for number in range(end):
        yield number, b"%d" % number

class Sensor:
    @staticmethod
    def read():
        return b"7"

gateway = Gateway(0, name="greenhouse")
gateway.add_subroutine("count", count)
number = 3
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """With greenhouse.py; whatever is imported from there is forgotten."""
    (tmp_path / "greenhouse.py").write_text(GREENHOUSE)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", sys.path.copy())
    before = set(sys.modules)
    yield tmp_path
    for name in set(sys.modules) - before:
        if str(tmp_path) in str(getattr(sys.modules[name], "__file__", "")):
            del sys.modules[name]


# What is to be served


@pytest.mark.parametrize("place", ["greenhouse", "greenhouse.py", "./greenhouse.py"])
def test_a_target_is_an_object_of_a_module_or_file(folder: Path, place: str) -> None:
    count, read = load_target(f"{place}:count"), load_target(f"{place}:Sensor.read")
    assert (count.name, count.is_stream) == ("count", True)
    assert (read.name, read.is_stream, read.value()) == ("read", False, b"7")
    assert isinstance(load_target(f"{place}:gateway").value, Gateway)


@pytest.mark.parametrize(
    ("typed", "says"),
    [
        ("greenhouse", "say MODULE:NAME; greenhouse has add, count, Sensor, gateway"),
        ("greenhouse:", "say MODULE:NAME; greenhouse has add,"),
        ("greenhouse:subtract", "there is no 'subtract' in it; greenhouse has add,"),
        ("greenhouse.py:number", "is int, not a gateway, a function or a generator"),
        ("nowhere:x", "there is no module 'nowhere' here, nor is one installed"),
        ("nowhere.py:x", "there is no file nowhere.py"),
        ("name.py:x", "name.py does not load: {folder}/name.py line 2: NameError: name 'y' is not defined"),
        ("syntax:x", "syntax does not load: SyntaxError: "),
        ("wanting:x", "wanting does not load: {folder}/wanting.py line 1: ModuleNotFoundError: No module"),
        ("leaving:x", "leaving does not load: {folder}/leaving.py line 1: SystemExit: 3"),
    ],
)
def test_what_cannot_be_served_is_named_with_its_place(folder: Path, typed: str, says: str) -> None:
    (folder / "name.py").write_text("x = 1\nx = y\n")
    (folder / "syntax.py").write_text("def (\n")
    (folder / "wanting.py").write_text("import nothing_that_is_there\n")
    (folder / "leaving.py").write_text("raise SystemExit(3)\n")
    with pytest.raises(ConfigError) as told:
        load_target(typed)
    assert says.format(folder=folder) in str(told.value)


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (
            "greenhouse:gateway --port 1857",
            "greenhouse:gateway is a gateway, which was made with its own; leave out --port",
        ),
        ("greenhouse:gateway greenhouse:add", "a gateway is served alone"),
        ("greenhouse:add --shared", "--shared and --latest are for generators"),
        ("greenhouse:add --host 192.0.2.1", "without an identity anybody could call"),
        ("greenhouse:add --root nowhere", "--root"),
        ("greenhouse:add --announce", "--announce: only this machine can call it"),
    ],
)
def test_options_that_do_not_go_together_are_wrong_use(folder: Path, words: str, says: str) -> None:
    result = CliRunner().invoke(pynet, ["serve", *words.split()])
    assert result.exit_code == 2
    assert says in " ".join(result.output.split())


# Served


class Served:
    """`pynet serve`, as a process."""

    def __init__(self, *words: str, cwd: Path) -> None:
        self.process = started("serve", *words, "--json", cwd=cwd)
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        assert line, self.process.communicate()[1]
        self.record: dict[str, Any] = json.loads(line)

    def controller(self) -> Controller:
        return Controller(port=self.record["port"])

    def end(self, number: signal.Signals = signal.SIGINT) -> tuple[int, str]:
        """Its exit code, and what it has said on stderr."""
        self.process.send_signal(number)
        _, told = self.process.communicate(timeout=20)
        return self.process.returncode, told


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_functions_and_generators_are_served_until_ctrl_c(folder: Path, number: signal.Signals) -> None:
    served = Served(
        "greenhouse:add", "greenhouse.py:count", "--latest", "--port", "0", "--pool", "2", cwd=folder
    )
    assert [set(served.record)] == json_keys("pynet serve")
    assert served.record["subroutines"] == ["add", "count"]
    assert (served.record["host"], served.record["tls"], served.record["announced"]) == (
        "127.0.0.1",
        False,
        False,
    )
    with served.controller().get_client() as client:
        assert client.get_subroutine_batch("add", [1, 2]) == b"3"
        count = client.list_subroutines()[1]
        assert (count.doc, count.keep, count.shared) == ("Count up.", "latest", False)
    assert served.end(number) == (0, "")


@pytest.mark.slow
def test_a_gateway_that_a_module_has_made_is_started_as_it_is(folder: Path) -> None:
    served = Served("greenhouse:gateway", cwd=folder)
    assert (served.record["name"], served.record["subroutines"]) == ("greenhouse", ["count"])
    controller = served.controller()
    with controller.get_client() as client:
        assert collected(client, "count") == [(0, b"0"), (1, b"1"), (2, b"2")]
    controller.close_gateway()
    _, told = served.process.communicate(timeout=20)
    assert (served.process.returncode, told) == (0, "a peer has closed the gateway\n")


@pytest.mark.slow
def test_a_person_is_told_how_to_reach_it_and_what_it_takes(folder: Path, free_port: int) -> None:
    key = {**os.environ, "PYNET_KEY": "a secret of this test"}
    with started("serve", "--port", free_port, "--no-announce", env=key, cwd=folder) as serving:
        assert serving.stdout is not None
        said = [serving.stdout.readline() for _ in range(7)]
        serving.send_signal(signal.SIGINT)
    assert said[0].endswith(f" listens on {EVERYWHERE} port {free_port}\n")
    assert f"pynet ls localhost:{free_port}\n" in said[2]
    assert "lets in  TLS only, to itself and 0 trusted devices\n" in said
    assert "pynet pair --serve" in said[5]
    assert said[6] == "Ctrl-C stops it.\n"


@pytest.mark.slow
def test_files_are_given_and_removed_only_as_was_said(folder: Path) -> None:
    (folder / "open").mkdir()
    (folder / "open" / "a.txt").write_text("a")
    served = Served("--port", "0", "--root", "open", "--allow-remove", cwd=folder)
    controller = Controller(port=served.record["port"], download_dir=str(folder / "here"))
    with controller.get_client() as client:
        (arrived,) = client.get_files_from_gateway(r".*\.txt", folder=folder / "open")
        assert Path(arrived).read_text() == "a"
        with pytest.raises(FilesError, match="greenhouse"):
            client.get_files_from_gateway(files=[folder / "greenhouse.py"])
    where = f"localhost:{served.record['port']}"
    for path, code in ((folder / "greenhouse.py", 3), (folder / "open" / "a.txt", 0)):
        assert CliRunner().invoke(pynet, ["rm", where, str(path)]).exit_code == code
    assert [(folder / "open" / "a.txt").exists(), (folder / "greenhouse.py").exists()] == [False, True]
    assert served.end()[0] == 0


# Measured


@pytest.mark.slow
def test_bench_measures_pings_calls_and_streams_at_a_gateway_of_its_own() -> None:
    done = CliRunner().invoke(pynet, ["bench", "--seconds", "0.05", "--json"])
    assert done.exit_code == 0, done.output
    rows = [json.loads(line) for line in done.stdout.splitlines()]
    pings = [("ping", size) for size in PING_BYTES]
    assert [(row["what"], row["bytes"]) for row in rows] == [
        *pings,
        ("call", SMALL_BYTES),
        ("stream", SMALL_BYTES),
        ("stream", FRAME_BYTES),
    ]
    assert [set(row) for row in rows] == json_keys("pynet bench") * len(rows)
    for row in rows:
        assert row["count"] > 0
        assert row["per_s"] == pytest.approx(row["count"] / row["seconds"], rel=0.1)
        assert (row["p50_us"] is None) == (row["what"] == "stream")
        assert row["p50_us"] is None or 0 < row["p50_us"] <= row["p99_us"]


def test_bench_of_another_gateway_needs_nothing_offered_there(gateway: Gateway) -> None:
    done = CliRunner().invoke(pynet, ["bench", f"localhost:{gateway.port}", "--seconds", "0.05"])
    assert done.exit_code == 0, done.output
    rows = [line.split() for line in done.stdout.splitlines()]
    assert [(row[0], row[1]) for row in rows] == [("ping", f"{size:,}") for size in PING_BYTES]
