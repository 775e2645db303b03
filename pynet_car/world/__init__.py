"""The simulated car's world: track, physics, sonar and camera, and the board its pins are wired to.

Importing this package, or `pynet_car.world.board`, costs the standard library
only; the other modules need the extra `world` (numpy, OpenCV, simplejpeg).
"""

from __future__ import annotations

from typing import Final

BOARD_FILE: Final = "board"  # in the runtime directory: the simulated pins' memory
CAMERA_SOCKET: Final = "camera.sock"  # in the runtime directory: SEQPACKET, one encoded CameraFrame a message
MAX_FRAME_BYTES: Final = 512 * 1024  # give this to recv: a 640x480 frame is 25-60 KB, the socket takes 400 KB
DEFAULT_SEED: Final = 7  # the track, which bends both ways, that the world and the teacher share
OF_EXTRA: Final = frozenset({"cv2", "numpy", "simplejpeg"})  # modules that come with the extra only
