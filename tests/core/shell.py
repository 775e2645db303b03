"""The command `pynet` as a person runs it: a process of its own."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from typing import Any, Final

PYNET: Final = (sys.executable, "-m", "pynet")
PAGE: Final = Path(__file__).parents[2] / "docs/reference/command-line.md"
TIMEOUT_S: Final = 60.0


def typed(*words: object, data: bytes = b"", **options: Any) -> subprocess.CompletedProcess[str]:
    """Run it to its end."""
    given: dict[str, Any] = {"input": data.decode(), "text": True, "timeout": TIMEOUT_S, **options}
    return subprocess.run([*PYNET, *map(str, words)], capture_output=True, check=False, **given)


def typed_bytes(*words: object, data: bytes = b"") -> subprocess.CompletedProcess[bytes]:
    """The same, with what it writes as it is."""
    command = [*PYNET, *map(str, words)]
    return subprocess.run(command, capture_output=True, check=False, input=data, timeout=TIMEOUT_S)


def started(*words: object, **options: Any) -> subprocess.Popen[str]:
    """Run it beside the test, which ends it."""
    given: dict[str, Any] = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True, **options}
    return subprocess.Popen([*PYNET, *map(str, words)], **given)


def is_told(done: subprocess.CompletedProcess[str], code: int = 1) -> str:
    """The one sentence on stderr of a verb that ended with this exit code."""
    assert done.returncode == code, done
    assert done.stdout == "", done.stdout
    lines = done.stderr.splitlines()
    assert len(lines) == 1, done.stderr
    assert lines[0].startswith("pynet: ")
    return lines[0].removeprefix("pynet: ")


def sections() -> dict[str, str]:
    """Of the page: what stands under each heading `pynet VERB`."""
    parts = re.split(r"^### (.+)$", PAGE.read_text(), flags=re.MULTILINE)
    return dict(zip(parts[1::2], parts[2::2], strict=True))


def json_keys(verb: str) -> list[set[str]]:
    """The keys that the page promises for this verb, line of JSON by line of JSON."""
    found = re.findall(r"^JSON[^:]*: ((?:.+\n)+)", sections()[verb], re.MULTILINE)
    # What stands in brackets are values.
    return [set(re.findall(r"`(\w+)`", re.sub(r"\([^)]*\)", "", keys))) for keys in found]
