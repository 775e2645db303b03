"""Yields synthetic training samples, as a sensor or a data set would.

    python gateway.py [--port 1857]

A sample is float32 (4,): three features and the answer, in NumPy's own .npy
format, which says shape and type and holds no code.
"""

from __future__ import annotations

import argparse
import io
import sys
from collections.abc import Iterator

import numpy as np

import pynet
import pynet.backend2 as bk

WEIGHTS = np.array([2.0, -3.0, 0.5], dtype=np.float32)  # what there is to be learned
NOISE = 0.01


def samples(count: int = 0, seed: int = 0) -> Iterator[tuple[int, bytes]]:
    """(ident, sample) `count` times, or for ever with 0; the same ones for the same seed."""
    random = np.random.default_rng(seed)
    ident = 0
    try:
        while not count or ident < count:
            features = random.normal(size=3).astype(np.float32)
            answer = features @ WEIGHTS + np.float32(random.normal(scale=NOISE))
            yield ident, npy(np.append(features, answer))
            ident += 1
    finally:
        bk.safe_print("ended after sample", ident, flush=True)


def npy(array: np.ndarray) -> bytes:
    file = io.BytesIO()
    np.lib.format.write_array(file, array, allow_pickle=False)
    return file.getvalue()


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--port", type=int, default=1857)
    options = parser.parse_args()
    gateway = pynet.Gateway(options.port)
    gateway.add_subroutine("samples", samples)
    bk.safe_print(f"yields samples on port {options.port}", flush=True)
    gateway.start(blocking=True)


if __name__ == "__main__":
    try:
        main()
    except pynet.LinkError as exc:
        sys.exit(str(exc))
