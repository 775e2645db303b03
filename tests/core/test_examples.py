"""What all examples share: a gateway that is not there, or a port that is taken, is one sentence."""

from __future__ import annotations

import socket
import subprocess
import sys
from pathlib import Path

import pytest

EXAMPLES = Path(__file__).parents[2] / "examples"
CONTROLLERS = (
    "keras_style_generator/controller.py",
    "typed_payloads/controller.py",
    "conditional_backup/full/backup_controller.py",
    "key_stream/controller.py",
)
GATEWAYS = (
    "keras_style_generator/gateway.py",
    "typed_payloads/gateway.py",
    "conditional_backup/full/backup_gateway.py",
)


def said_by(script: str, port: int, folder: Path) -> str:
    words = [str(folder)] if "backup" in script else []
    command = [sys.executable, str(EXAMPLES / script), *words, "--port", str(port)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 1
    (line,) = done.stderr.splitlines()
    return line


@pytest.mark.slow
@pytest.mark.parametrize("script", CONTROLLERS)
def test_a_gateway_that_is_not_there_is_one_sentence(script: str, free_port: int, tmp_path: Path) -> None:
    assert f"no gateway at this machine port {free_port}: is it started" in said_by(
        script, free_port, tmp_path
    )


@pytest.mark.slow
@pytest.mark.parametrize("script", GATEWAYS)
def test_a_port_that_is_taken_is_one_sentence(script: str, tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        assert f"port {port}: Address already in use" in said_by(script, port, tmp_path)
