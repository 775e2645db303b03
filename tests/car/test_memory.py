"""Folders in memory, told apart from those on a disk by the kernel's list of mounts."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from pynet_car.world.launch import SimulatedCar
from pynet_car.world.memory import is_in_memory, memory_folder


def mounts(folder: Path, file_system: str) -> Path:
    """A list of mounts in which this folder's device has that file system."""
    number = folder.stat().st_dev
    device = f"{os.major(number)}:{os.minor(number)}"
    path = folder / "mountinfo"
    path.write_text(
        f"22 1 0:21 / /proc rw - proc proc rw\nodd line\n"
        f"36 22 {device} / /a\\040b rw,noatime shared:1 master:2 - {file_system} none rw\n"
    )
    return path


@pytest.mark.parametrize(("file_system", "told"), [("tmpfs", True), ("ext4", False), ("tmpfs2", False)])
def test_a_folder_is_in_memory_if_its_mount_is(tmp_path: Path, file_system: str, told: bool) -> None:
    assert is_in_memory(tmp_path, mounts(tmp_path, file_system)) is told


def test_of_what_is_nowhere_nothing_can_be_told(tmp_path: Path) -> None:
    assert is_in_memory(tmp_path / "none") is None
    assert is_in_memory(tmp_path, tmp_path / "no list") is None
    (tmp_path / "empty").touch()
    assert is_in_memory(tmp_path, tmp_path / "empty") is None


@pytest.mark.skipif(not os.access("/dev/shm", os.W_OK), reason="no /dev/shm here")
def test_a_simulated_car_of_its_own_has_its_pins_in_memory() -> None:
    assert memory_folder() == Path("/dev/shm")
    with SimulatedCar() as car:
        assert is_in_memory(car.board_path) is True
        folder = car.runtime_dir
    assert not folder.exists()
