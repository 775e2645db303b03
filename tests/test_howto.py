"""The Python of docs/howto and docs/tutorial runs as it stands."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

DOCS = Path(__file__).parent.parent / "docs"
PAGES = sorted([*DOCS.glob("howto/*.md"), *DOCS.glob("tutorial/*.md")])
SNIPPETS = [
    pytest.param(snippet, id=f"{page.stem} {number}")
    for page in PAGES
    for number, snippet in enumerate(re.findall(r"^```python\n(.*?)^```", page.read_text(), re.M | re.S))
]


def test_there_are_snippets() -> None:
    assert len(SNIPPETS) >= 2


@pytest.mark.slow
@pytest.mark.parametrize("snippet", SNIPPETS)
def test_it_runs(snippet: str, tmp_path: Path, free_port: int) -> None:
    done = subprocess.run(
        [sys.executable, "-c", snippet.replace("1857", str(free_port))],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        cwd=tmp_path,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout
