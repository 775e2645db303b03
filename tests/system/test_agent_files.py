"""What a peer with every right can do to the agent's disk: next to nothing."""

from __future__ import annotations

from pathlib import Path

import pytest

import pynet
from pynet_car.world.launch import SimulatedCar

pytestmark = [pytest.mark.system, pytest.mark.shared]


def test_the_agent_gives_no_file_away_and_keeps_uploads_in_its_runtime_folder(tmp_path: Path) -> None:
    secret, upload = tmp_path / "secret", tmp_path / "note.txt"
    secret.write_text("key")
    upload.write_text("hello")
    downloads = tmp_path / "downloads"
    with SimulatedCar() as car:
        controller = pynet.Controller(port=car.port, download_dir=str(downloads))
        with controller.get_client() as client:
            with pytest.raises(pynet.FilesError, match="outside the folders that this gateway opens"):
                client.get_files_from_gateway(files=[str(secret)])
            client.send_files_to_gateway("notes", [str(upload)])
            assert (car.runtime_dir / "uploads" / "notes" / "note.txt").read_text() == "hello"
            assert client.ping("still here").message == "still here"
    assert not downloads.exists() or not any(downloads.iterdir())
