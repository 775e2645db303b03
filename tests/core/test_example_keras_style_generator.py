"""examples/keras_style_generator: a stream of another process comes as batches of arrays."""

from __future__ import annotations

import io
import runpy
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO, Any, Final

import numpy as np
import pytest

import pynet
from tests.core.loopback import controller_of, serving

EXAMPLE: Final = Path(__file__).parents[2] / "examples/keras_style_generator"
Batches = Callable[..., Any]


@pytest.fixture(scope="module")
def batches() -> Batches:
    made: Batches = runpy.run_path(str(EXAMPLE / "controller.py"))["batches"]
    return made


@pytest.fixture
def gateway_says(free_port: int) -> Iterator[IO[str]]:
    """The example's gateway as a process, from the moment it has said that it yields samples."""
    command = [sys.executable, str(EXAMPLE / "gateway.py"), "--port", str(free_port)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            assert "yields samples" in process.stdout.readline()
            yield process.stdout
        finally:
            process.send_signal(signal.SIGINT)
            try:
                process.wait(10)
            finally:
                process.kill()


def connected(port: int) -> pynet.Client:
    """It says that it yields a moment before it listens."""
    while True:
        try:
            return pynet.Controller(port=port).get_client()
        except pynet.LinkError:
            continue


@pytest.mark.system
@pytest.mark.shared
def test_every_sample_comes_once_in_order_and_the_last_batch_is_the_rest(
    batches: Batches, gateway_says: IO[str], free_port: int
) -> None:
    with connected(free_port) as client:
        got = list(batches(client, "samples", 4, count=10, seed=7))
        again = list(batches(client, "samples", 10, count=10, seed=7))
    assert [idents.tolist() for idents, _ in got] == [[0, 1, 2, 3], [4, 5, 6, 7], [8, 9]]
    assert [items.shape for _, items in got] == [(4, 4), (4, 4), (2, 4)]
    assert {items.dtype for _, items in got} == {np.dtype(np.float32)}
    assert np.array_equal(np.concatenate([items for _, items in got]), again[0][1])


@pytest.mark.system
@pytest.mark.shared
def test_a_consumer_that_stops_ends_the_generator_and_frees_the_pair(
    batches: Batches, gateway_says: IO[str], free_port: int
) -> None:
    with connected(free_port) as client:
        generator = batches(client, "samples", 8)
        idents, _ = next(generator)
        generator.close()
        assert "ended after sample" in gateway_says.readline()
        assert client.ping("free").message == "free"
    assert idents.tolist() == list(range(8))


@pytest.mark.system
@pytest.mark.shared
def test_the_model_learns_what_the_gateway_put_in(gateway_says: IO[str], free_port: int) -> None:
    with connected(free_port):
        done = subprocess.run(
            [sys.executable, EXAMPLE / "controller.py", "--port", str(free_port)],
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == "weights: 2.00 -3.00 0.50"
    assert "ended after sample" in gateway_says.readline()


def npy(array: Any) -> bytes:
    file = io.BytesIO()
    np.save(file, array, allow_pickle=True)
    return file.getvalue()


@pytest.mark.parametrize(
    "second",
    [npy(np.zeros(3)), npy(np.array([{}], dtype=object)), b"no array"],
    ids=["another shape", "pickled", "noise"],
)
def test_what_is_no_sample_raises_and_frees_the_pair(batches: Batches, second: bytes) -> None:
    with serving() as gateway:

        def samples() -> Iterator[bytes]:
            yield npy(np.zeros(2))
            yield second

        gateway.add_subroutine("samples", samples)
        with controller_of(gateway).get_client() as client:
            with pytest.raises(ValueError, match=r"shape|pickle|magic"):
                list(batches(client, "samples", 2))
            assert client.ping("free").message == "free"


def test_a_batch_size_below_one_is_refused(batches: Batches) -> None:
    with pytest.raises(ValueError, match="batch_size"):
        next(batches(None, "samples", 0))
