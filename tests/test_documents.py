"""Nothing in a page or an example is beyond the tests: what is Python runs, what is a command line exists."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Final

import click
import pytest
from click.testing import CliRunner

import pi_agent.cli
from benchmarks.__main__ import BENCHMARKS
from docs.api import PAGE as API
from pi_agent.config import parse_config
from pynet_core import cli

ROOT: Final = Path(__file__).parent.parent
PAGES: Final = sorted(
    page
    for folder in (".", "docs", "examples")
    for page in (ROOT / folder).glob("*.md" if folder == "." else "**/*.md")
)
FENCED: Final = re.compile(r"^```(\w*)\n(.*?)^```", re.MULTILINE | re.DOTALL)

# language: who runs it, and in which pages
RUN_BY: Final = {
    "python": ("README.md", "docs/howto/*.md", "docs/tutorial/*.md"),  # test_readme.py, test_howto.py
    "sh": ("*.md",),  # below
    "toml": ("docs/*/*.md",),  # below
    "hex": ("docs/reference/wire-format.md",),  # core/test_wire.py
}


def name_of(page: Path) -> str:
    return page.relative_to(ROOT).as_posix()


def command_lines(page: Path) -> list[str]:
    """Of its `sh` blocks, and of what is indented like one; without comments."""
    text = page.read_text()
    lines = [
        line for language, body in FENCED.findall(text) if language == "sh" for line in body.splitlines()
    ]
    indented = re.findall(r"^    (\S.*)$", FENCED.sub("", text), re.MULTILINE)
    if page == API:  # there it is Python, of the docstrings
        indented = []
    return [bare for line in [*lines, *indented] if (bare := re.sub(r"(^|\s+)#.*", "", line))]


SERVICES: Final = {file.stem for file in (ROOT / "systemd").glob("*.service")}
PACKAGES: Final = {
    line.partition(":")[2].strip()
    for control in (ROOT / "systemd/debian").glob("*/control")
    for line in control.read_text().splitlines()
    if line.startswith("Package:")
}
MADE: Final = "~/pynet-venv"  # the tutorial's own Python
LINES: Final = [
    pytest.param(page, line, id=f"{page.parent.name}: {line}")
    for page in PAGES
    for line in command_lines(page)
]


def test_pages_and_command_lines_are_found() -> None:
    assert {"README.md", "docs/howto/trust.md", "examples/key_stream/README.md"} <= set(map(name_of, PAGES))
    assert len(LINES) > 20


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_every_block_of_code_has_a_language_that_is_run(page: Path) -> None:
    for language, body in FENCED.findall(page.read_text()):
        where = RUN_BY.get(language, ())
        assert any(page.relative_to(ROOT).match(pattern) for pattern in where), f"nobody runs:\n{body}"


SETTINGS: Final = [
    pytest.param(body, id=f"{page.stem} {body.splitlines()[0]}")
    for page in PAGES
    for language, body in FENCED.findall(page.read_text())
    if language == "toml"
]


@pytest.mark.parametrize("body", SETTINGS)
def test_settings_are_ones_that_the_agent_takes_and_a_plugin_says_it_is_one(body: str) -> None:
    if "project" in (table := tomllib.loads(body)):
        assert table["project"]["entry-points"].keys() <= {"pynet.sensors", "pynet.commands"}
    else:
        parse_config(body, "agent.toml")


@pytest.mark.parametrize(("page", "line"), LINES)
def test_a_command_line_is_one_that_exists(page: Path, line: str) -> None:
    if line.startswith("export "):
        done = subprocess.run(["bash", "-euc", f"{line}; env"], capture_output=True, text=True, check=True)
        assert re.search(f"^{line.split()[1].partition('=')[0]}=.{{16,}}$", done.stdout, re.MULTILINE)
        return
    command, *words = shlex.split(re.split(r" [|>] ", line.removeprefix("sudo "))[0])
    match command:
        case "./run":
            check_run(words)
        case "pynet":
            check_click(cli.pynet, words)
        case "pynet-agent":
            check_click(pi_agent.cli.agent, words)
        case "eval":  # of what another command writes
            (inner,) = re.findall(r"\$\((.+)\)", line)
            test_a_command_line_is_one_that_exists(page, inner)
        case "systemctl" | "journalctl":
            assert words[-1] in SERVICES
        case "nano":
            assert words == ["/etc/pynet/agent.toml"]
        case "apt" | "scp":
            (package,) = (word for word in words if word.endswith(".deb"))
            assert Path(package).name.partition("_")[0] in PACKAGES
        case "cp":
            assert (ROOT / words[0]).is_file()
        case "pip":
            assert words[0] == "install"
            assert words[-1] == "."
        case "python3":
            assert words == ["-m", "venv", MADE]
        case ".":
            assert words == [f"{MADE}/bin/activate"]
        case "python":
            script = page.parent / words[0]
            assert script.is_file()
            check_help([sys.executable, str(script)], words[1:])
        case _:
            pytest.fail(f"how can it be checked?  {line}")


def check_run(words: list[str]) -> None:
    helped = subprocess.run([ROOT / "run", "help"], capture_output=True, text=True, check=True).stdout
    usage = "\n".join(line for line in helped.splitlines() if line.startswith(f"./run {words[0]} "))
    assert usage
    if words[0] == "bench":
        assert words[1] in BENCHMARKS
    elif words[0] == "prove":
        assert words[1] in usage
    for option in (word for word in words if word.startswith("--")):
        assert option in usage


def check_click(command: click.Command, words: list[str]) -> None:
    """With --help click reads all the others too, and does nothing."""
    end = words.index("--") if "--" in words else len(words)
    shown = CliRunner().invoke(command, [*words[:end], "--help", *words[end:]])
    assert shown.exit_code == 0, shown.output


def check_help(command: list[str], words: list[str]) -> None:
    options = [word for word in words if word.startswith("-")]
    if options:
        helped = subprocess.run([*command, "--help"], capture_output=True, text=True, check=True).stdout
        for option in options:
            assert option in helped


@pytest.mark.parametrize("example", sorted((ROOT / "examples").glob("*/")), ids=lambda folder: folder.name)
def test_every_example_has_a_test_that_runs_it(example: Path) -> None:
    testers = [
        test for test in (ROOT / "tests").rglob("test_*.py") if f"examples/{example.name}" in test.read_text()
    ]
    assert [test for test in testers if test.name != "test_documents.py"]
