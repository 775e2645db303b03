"""The desktop window: `pynet-desktop [HOST[:PORT]]`, or `python -m desktop_app`: `program`."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Final

from pynet_core.extras import missing

OF_EXTRA: Final = frozenset({"PyQt5", "numpy", "simplejpeg"})


def main(arguments: Sequence[str] | None = None) -> int:
    """Run until the last window is closed; returns the exit code."""
    try:
        # Here: where it is not all installed a person is told what to type.
        from desktop_app.program import main as run
    except ModuleNotFoundError as exc:
        print(f"pynet-desktop: {missing(exc, 'desktop', OF_EXTRA)}", file=sys.stderr)
        return 1
    return run(arguments)


if __name__ == "__main__":
    sys.exit(main())
