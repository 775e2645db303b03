"""Man pages of `pynet` and `pynet-agent`, from what their own --help says."""

from __future__ import annotations

import importlib
import re
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import click

SOURCE: Final = Path(__file__).resolve().parent.parent
EXIT_CODE: Final = re.compile(r"^\| (\d+) \| (.+) \|$", re.MULTILINE)  # in the page on the command line


def man_pages(version: str) -> dict[str, str]:
    """By program."""
    if str(SOURCE) not in sys.path:
        sys.path.insert(0, str(SOURCE))
    project = tomllib.loads((SOURCE / "pyproject.toml").read_text())["project"]
    # Not those that happen to be installed where it is built.
    verbs = {name: _loaded(place) for name, place in project["entry-points"]["pynet.commands"].items()}
    pynet = _loaded("pynet_core.cli:pynet")
    return {
        "pynet": man_page(click.Group("pynet", dict(sorted(verbs.items())), help=pynet.help), version),
        "pynet-agent": man_page(_loaded("pi_agent.cli:agent"), version, name="pynet-agent"),
    }


def _loaded(place: str) -> click.Command:
    module, _, name = place.partition(":")
    command = getattr(importlib.import_module(module), name)
    assert isinstance(command, click.Command), place
    return command


def man_page(group: click.Command, version: str, *, name: str = "") -> str:
    """One page for the program and all its verbs, in troff."""
    name = name or group.name or ""
    what = (group.help or "").rstrip(".").splitlines()[0]
    lines = [
        f'.TH {_escaped(name.upper())} 1 "" "pynet {_escaped(version)}" "User Commands"',
        ".SH NAME",
        f"{_escaped(name)} \\- {_escaped(what[:1].lower() + what[1:])}",
        ".SH SYNOPSIS",
        f".B {_escaped(name)}",
        r"\fIVERB\fR [\fIOPTION\fR]... [\fIARGUMENT\fR]...",
        ".SH DESCRIPTION",
        *_text(group.help or ""),
        *_text(group.epilog or ""),
        ".SH VERBS",
    ]
    for context in _verbs(click.Context(group, info_name=name)):
        lines += _verb(context)
    lines.append(".SH EXIT STATUS")
    for code, meaning in EXIT_CODE.findall((SOURCE / "docs/reference/command-line.md").read_text()):
        lines += [".TP", f".B {code}", _escaped(f"{meaning[:1].upper()}{meaning[1:]}.".replace("`", ""))]
    other = {"pynet": "pynet-agent", "pynet-agent": "pynet"}[name]
    lines += [".SH SEE ALSO", rf".BR {_escaped(other)} (1)", ""]
    return "\n".join(lines)


def _verbs(context: click.Context) -> Iterator[click.Context]:
    """Of all that do something, groups' own ones too."""
    group = context.command
    if not isinstance(group, click.Group):
        yield context
        return
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        assert command is not None
        yield from _verbs(click.Context(command, info_name=name, parent=context))


def _verb(context: click.Context) -> Iterator[str]:
    command = context.command
    yield f".SS {_escaped(context.command_path)} {_escaped(' '.join(command.collect_usage_pieces(context)))}"
    yield from _text(command.help or "")
    yield from _text(command.epilog or "")
    for option in (each for each in command.params if isinstance(each, click.Option)):
        record = option.get_help_record(context)
        if record is not None:
            yield from (".TP", rf"\fB{_escaped(record[0])}\fR", _escaped(record[1]) or r"\&")


def _text(said: str) -> Iterator[str]:
    """Paragraphs; one that click leaves as it is stays so."""
    for paragraph in re.split(r"\n\s*\n", said.strip()):
        lines = [line.rstrip() for line in paragraph.splitlines()]
        if lines and lines[0] == "\b":
            yield from (".PP", ".nf", *map(_escaped, lines[1:]), ".fi")
        elif lines:
            yield from (".PP", *(_escaped(line.strip()) for line in lines))


def _escaped(text: str) -> str:
    """What troff prints as it is."""
    text = text.replace("\\", "\\e").replace("-", "\\-")
    return f"\\&{text}" if text[:1] in (".", "'") else text
