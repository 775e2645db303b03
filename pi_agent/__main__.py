"""pynet-agent: the robot daemon, and what a person asks of a robot.

python -m pi_agent run [OPTIONS]    the daemon: `daemon`
python -m pi_agent VERB             anything else: `cli`
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Final

from pi_agent.procs import EXIT_CONFIG
from pynet_core.extras import missing

OF_EXTRA: Final = frozenset({"gpiozero", "colorzero"})


def main(argv: Sequence[str] | None = None) -> int:
    """The daemon, or another verb; its exit code: 0 asked to end, 1 cannot go on, 78 wrong settings."""
    words = list(sys.argv[1:] if argv is None else argv)
    if words[:1] == ["run"]:
        del words[0]
    elif words and (not words[0].startswith("-") or words[0] in ("-h", "--help", "--version")):
        # Here: the guardian is to start soon and stay small.
        from pi_agent.cli import main as run_verb

        return run_verb(words)
    try:
        # Here: the verbs, doctor first, are for those too who have not installed all of it.
        from pi_agent.daemon import main as run_daemon
    except ModuleNotFoundError as exc:
        print(f"agent: {missing(exc, 'agent', OF_EXTRA)}", file=sys.stderr)
        return EXIT_CONFIG
    return run_daemon(words)


if __name__ == "__main__":
    sys.exit(main())
