"""What the programs of the simulated car share of their command lines; the standard library only."""

from __future__ import annotations

import argparse
import math
from collections.abc import Callable
from typing import Final

MAX_SEED: Final = 2**32 - 1  # as many tracks as anybody wants


def within(low: int, high: int) -> Callable[[str], int]:
    """A number that argparse refuses outside these limits."""

    def number(text: str) -> int:
        value = int(text)
        if not low <= value <= high:
            raise argparse.ArgumentTypeError(f"{value} is not within {low} to {high}")
        return value

    return number


def metres(text: str) -> float:
    """A place along the track; which is closed, so that any number is one."""
    value = float(text)
    if not math.isfinite(value):
        raise argparse.ArgumentTypeError(f"{text} is nowhere")
    return value
