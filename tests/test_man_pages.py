"""The man pages of the Debian package say what --help says, in troff that groff takes."""

from __future__ import annotations

import importlib.util
import re
import shutil
import subprocess
import tomllib
from pathlib import Path

import click
import pytest

from pi_agent.cli import agent
from pynet_core.cli import pynet

ROOT = Path(__file__).resolve().parents[1]
COMMANDS = {"pynet": pynet, "pynet-agent": agent}


@pytest.fixture(scope="module")
def pages() -> dict[str, str]:
    spec = importlib.util.spec_from_file_location("man_pages", ROOT / "systemd/man_pages.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    made: dict[str, str] = module.man_pages("1.2.3")
    return made


def headings(page: str) -> list[str]:
    return [line.replace("\\-", "-") for line in re.findall(r"^\.SS (.+)$", page, re.MULTILINE)]


@pytest.mark.parametrize("program", list(COMMANDS))
def test_every_verb_has_its_part(pages: dict[str, str], program: str) -> None:
    group = COMMANDS[program]
    verbs = {heading.split()[1] for heading in headings(pages[program])}
    assert verbs == set(group.list_commands(click.Context(group)))


def test_verbs_are_those_of_the_project_and_not_what_is_installed_beside_it(pages: dict[str, str]) -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert {each.split()[1] for each in headings(pages["pynet"])} == set(
        project["entry-points"]["pynet.commands"]
    )


def test_an_option_stands_there_with_its_help(pages: dict[str, str]) -> None:
    assert ".TP\n\\fB\\-\\-limit RATE\\fR\nbytes a second" in pages["pynet"]
    assert ".TP\n\\fB\\-\\-turn\\fR\n" in pages["pynet-agent"]


@pytest.mark.parametrize("program", list(COMMANDS))
def test_it_is_troff_that_groff_has_nothing_to_say_of(pages: dict[str, str], program: str) -> None:
    if shutil.which("groff") is None:
        pytest.skip("needs groff: apt-get install groff-base")
    command = ["groff", "-man", "-ww", "-Kutf8", "-Tutf8"]
    done = subprocess.run(command, input=pages[program], capture_output=True, text=True, check=True)
    assert done.stderr == ""
    assert done.stdout.startswith(f"{program.upper()}(1) ")


@pytest.mark.parametrize("program", list(COMMANDS))
def test_the_exit_codes_are_those_of_the_page_on_the_command_line(
    pages: dict[str, str], program: str
) -> None:
    status = pages[program].partition(".SH EXIT STATUS\n")[2]
    assert re.findall(r"^\.B (\d+)$", status, re.MULTILINE) == ["0", "1", "2", "3", "78", "130"]
    assert "\nOf pynet\\-agent only: wrong settings or keys.\n" in status
