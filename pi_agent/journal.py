"""Log lines for a terminal, and for systemd's journal, which takes the level from the start of each line."""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Mapping

# sd-daemon(3): "<3>" is an error.
_PRIORITIES = (
    (logging.CRITICAL, 2),
    (logging.ERROR, 3),
    (logging.WARNING, 4),
    (logging.INFO, 6),
)
_DEBUG = 7


def set_up_logging(title: str) -> None:
    """Log from INFO on to stderr, each line headed by `title`; call it once, first of all."""
    handler = logging.StreamHandler()
    if is_journal(os.environ):
        handler.setFormatter(JournalFormatter(f"{title}: %(message)s"))
    else:
        handler.setFormatter(logging.Formatter(f"{title}: %(message)s"))
    logging.basicConfig(level=logging.INFO, handlers=[handler])


def is_journal(environment: Mapping[str, str]) -> bool:
    """Whether our stderr ends in the journal: it may have been led elsewhere since systemd started us."""
    try:
        status = os.fstat(sys.stderr.fileno())
    except (OSError, ValueError, AttributeError):  # there is no stderr, or only one in memory
        return False
    return environment.get("JOURNAL_STREAM") == f"{status.st_dev}:{status.st_ino}"


class JournalFormatter(logging.Formatter):
    """Puts the level before every line: of a traceback the journal makes as many entries as it has lines."""

    def format(self, record: logging.LogRecord) -> str:
        priority = next((number for level, number in _PRIORITIES if record.levelno >= level), _DEBUG)
        return "\n".join(f"<{priority}>{line}" for line in super().format(record).splitlines())
