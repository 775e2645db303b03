"""What the programs of the simulated car share of their command lines; the standard library only."""

from __future__ import annotations

import argparse
from collections.abc import Callable


def within(low: int, high: int) -> Callable[[str], int]:
    """A number that argparse refuses outside these limits."""

    def number(text: str) -> int:
        value = int(text)
        if not low <= value <= high:
            raise argparse.ArgumentTypeError(f"{value} is not within {low} to {high}")
        return value

    return number
