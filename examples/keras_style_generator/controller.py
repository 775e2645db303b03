"""A stream as batches for training, and a small model that is trained with them.

    python controller.py [--gateway ADDRESS] [--port 1857]

`batches` is what a data set is to Keras (`model.fit(generator)`) and to PyTorch
(an IterableDataset, with `DataLoader(..., batch_size=None)`).
"""

from __future__ import annotations

import argparse
import io
import sys
from collections.abc import Iterator
from typing import Any

import numpy as np

import pynet
import pynet.backend2 as bk

STEPS = 200
BATCH_SIZE = 32
LEARNING_RATE = 0.1


def batches(
    client: pynet.Client, name: str, batch_size: int, **kwargs: Any
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Idents, int64 (batch_size,), and items, (batch_size, ...), of a stream of .npy arrays of one shape.

    The last batch is what was left.  The pair is the generator's until it
    ends, is closed or is dropped; then the stream has been ended, and the
    pair is free.  `kwargs` are those of the subroutine.

    Raises:
        ValueError: batch_size is below 1, an item is no .npy array, or is of another shape.
        PynetError: What ended the stream.
    """
    if batch_size < 1:
        raise ValueError(f"batch_size must be 1 or more, got {batch_size}")
    idents: list[int] = []
    items: list[np.ndarray] = []
    stream = client.subscribe(name, **kwargs)
    try:
        for ident, buffer in stream:
            idents.append(ident)
            items.append(np.lib.format.read_array(io.BytesIO(buffer), allow_pickle=False))
            if len(items) == batch_size:
                yield np.array(idents), np.stack(items)
                idents, items = [], []
        if items:
            yield np.array(idents), np.stack(items)
    finally:
        stream.stop()


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--gateway", default="", help="without it: this machine")
    parser.add_argument("--port", type=int, default=1857)
    options = parser.parse_args()
    weights = np.zeros(3, dtype=np.float32)
    with pynet.Controller(options.gateway, options.port).get_client() as client:
        generator = batches(client, "samples", BATCH_SIZE)
        for step, (_, items) in zip(range(STEPS), generator):  # noqa: B905  as long as we like
            features, answers = items[:, :3], items[:, 3]
            errors = features @ weights - answers
            weights -= LEARNING_RATE * 2 * features.T @ errors / len(errors)
            if step % 50 == 0:
                bk.safe_print(f"step {step}: loss {np.mean(errors**2):.4f}")
        generator.close()
    bk.safe_print("weights:", *(f"{weight:.2f}" for weight in weights))


if __name__ == "__main__":
    try:
        main()
    except pynet.LinkError as exc:
        sys.exit(str(exc))
