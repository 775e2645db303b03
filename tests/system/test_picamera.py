"""The camera adapter on the real picamera2 and a virtual camera, where a root for that has been built.

It takes minutes and 1 GB to build one, so only `./run prove camera` does that; after it this test runs.
"""

from __future__ import annotations

import json

import pytest

from tests.system import picamera_root

pytestmark = [
    pytest.mark.system,
    pytest.mark.skipif(
        not picamera_root.is_built(), reason="no picamera2 here; once, as root:  ./run prove camera"
    ),
]


def test_the_camera_keeps_its_contract_on_the_real_picamera2() -> None:
    said = picamera_root.run("tests.system.virtual_camera", "--seconds", "1", timeout_s=100)
    figures = json.loads(said.splitlines()[-1])
    assert set(figures) == {"640x480", "1280x720"}
    assert all(figure["fps"] > 10 for figure in figures.values()), figures


def test_without_a_camera_it_says_where_to_look() -> None:
    said = picamera_root.run("tests.system.virtual_camera", "--none", timeout_s=60, cameras=False)
    assert json.loads(said.splitlines()[-1])["said"].startswith("no camera is found: look at its ribbon")
