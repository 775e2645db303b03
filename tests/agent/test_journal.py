from __future__ import annotations

import logging
import os
import subprocess
import sys
from pathlib import Path

import pytest

from pi_agent.journal import JournalFormatter, is_journal

PROGRAM = """
import logging
from pi_agent.journal import set_up_logging
set_up_logging("agent")
logging.warning("mind")
try:
    1 / 0
except ZeroDivisionError:
    logging.exception("broken")
"""


def said(stderr: Path, journal: str) -> list[str]:
    """What a program logs into that file, told that the journal is this stream."""
    with stderr.open("wb") as file:
        environment = {**os.environ, "JOURNAL_STREAM": journal}
        subprocess.run([sys.executable, "-c", PROGRAM], stderr=file, env=environment, check=True)
    return stderr.read_text().splitlines()


def test_in_the_journal_every_line_of_a_traceback_bears_its_level(tmp_path: Path) -> None:
    stderr = tmp_path / "stderr"
    stderr.touch()
    lines = said(stderr, f"{stderr.stat().st_dev}:{stderr.stat().st_ino}")
    assert lines[:2] == ["<4>agent: mind", "<3>agent: broken"]
    assert lines[-1] == "<3>ZeroDivisionError: division by zero"
    assert all(line.startswith("<3>") for line in lines[1:])


def test_where_stderr_is_not_the_journal_there_are_no_levels(tmp_path: Path) -> None:
    lines = said(tmp_path / "stderr", "8:15")
    assert lines[:2] == ["agent: mind", "agent: broken"]


@pytest.mark.parametrize(
    ("level", "number"),
    [(logging.DEBUG, 7), (logging.INFO, 6), (logging.WARNING, 4), (logging.ERROR, 3), (logging.CRITICAL, 2)],
)
def test_each_level_is_that_of_syslog(level: int, number: int) -> None:
    record = logging.LogRecord("x", level, "x.py", 1, "words", None, None)
    assert JournalFormatter("%(message)s").format(record) == f"<{number}>words"


def test_without_the_variable_there_is_no_journal() -> None:
    assert not is_journal({})
