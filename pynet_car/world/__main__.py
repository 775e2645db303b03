"""The simulated world: `python -m pynet_car.world --runtime-dir DIR`: `program`."""

from __future__ import annotations

import sys
from collections.abc import Sequence

from pynet_car.world import OF_EXTRA
from pynet_core.extras import missing


def main(arguments: Sequence[str] | None = None) -> int:
    """Run until a signal ends it; returns the exit code."""
    try:
        # Here: where it is not all installed a person is told what to type.
        from pynet_car.world.program import main as run
    except ModuleNotFoundError as exc:
        print(f"world: {missing(exc, 'world', OF_EXTRA)}", file=sys.stderr)
        return 1
    return run(arguments)


if __name__ == "__main__":
    sys.exit(main())
