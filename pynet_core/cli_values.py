"""Values on the command line: what is typed becomes arguments, what bytes hold becomes readable."""

from __future__ import annotations

import inspect
import json
import sys
from collections.abc import Sequence
from typing import Any, Final

import click
import msgspec

from pynet_core.cli_frame import HIDDEN
from pynet_core.client import Client
from pynet_core.payload import fields_of

# The first byte of a msgpack map; no UTF-8 text begins with one of the short maps', nor with the others'.
_MAP_BEGINS: Final = frozenset([*range(0x80, 0x90), 0xDE, 0xDF])
MAX_LEVELS: Final = 100  # of a value in itself; Python's own stack takes some 300
_to_json: Final = msgspec.json.Encoder(enc_hook=str).encode

# Of Client's methods, which would take them for themselves; `buffer` is the bytes that are sent.
_OUR_OWN: Final = frozenset({"buffer"}).union(
    parameter.name
    for method in (Client.get_subroutine_batch, Client.send_subroutine_batch, Client.subscribe)
    for parameter in inspect.signature(method).parameters.values()
    if parameter.kind is not parameter.VAR_KEYWORD
)

# For verbs that pass on `--key=value`: click leaves alone what it does not know.
TAKES_KEYWORDS: Final = {"ignore_unknown_options": True}


def typed_arguments(words: Sequence[str]) -> tuple[list[Any], dict[str, Any]]:
    """The arguments and keywords of a subroutine, as they were typed.

    Raises:
        click.UsageError: A word begins as a keyword and is none.
    """
    arguments: list[Any] = []
    keywords: dict[str, Any] = {}
    for word in words:
        if not word.startswith("--"):
            arguments.append(typed_value(word))
            continue
        key, equals, value = word[2:].partition("=")
        if not key or not equals:
            raise click.UsageError(
                f"{word!r} is no option; a keyword of the subroutine is typed --key=value, "
                f"and a text that begins with -- as JSON: '{json.dumps(word)}'"
            )
        key = key.replace("-", "_")
        if key in _OUR_OWN:
            raise click.UsageError(f"a keyword cannot be called {key!r}, which the client itself takes")
        keywords[key] = typed_value(value)
    return arguments, keywords


def typed_value(word: str) -> Any:
    """What it is as JSON; a text when it is none."""
    try:
        return json.loads(word, parse_constant=_no_number)
    except (ValueError, RecursionError):
        return word


def _no_number(name: str) -> None:
    raise ValueError(f"JSON has no {name}")


def readable(buffer: bytes) -> dict[str, Any]:
    """What these bytes hold, for programs: `bytes` says how many, and one other key what.

    `text` if they are text; `value` of a @pynet.payload, whose type is
    `payload`, or of a msgpack map; else, and where that is nested too deep
    for whoever reads JSON, `base64`.
    """
    record: dict[str, Any] = {"bytes": len(buffer)}
    try:
        return {**record, "text": buffer.decode()}
    except UnicodeDecodeError:
        pass
    try:
        name, fields = fields_of(buffer)
        if _is_shallow(fields):
            return {**record, "payload": name, "value": fields}
    except ValueError:
        pass
    if buffer[0] in _MAP_BEGINS:
        try:
            value = msgspec.msgpack.decode(buffer, type=dict[str, Any])
            if _is_shallow(value):
                return {**record, "value": value}
        except (msgspec.DecodeError, ValueError, RecursionError):
            pass
    return {**record, "base64": buffer}


def _is_shallow(value: Any, levels: int = MAX_LEVELS) -> bool:
    within = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return levels > 0 and all(_is_shallow(each, levels - 1) for each in within)


def write_result(buffer: bytes) -> None:
    """Write bytes to stdout: as they are, or as well as a person can read them on a terminal."""
    if not sys.stdout.isatty():
        click.echo(buffer, nl=False)
        return
    click.echo(for_terminal(buffer))


def for_terminal(buffer: bytes) -> str:
    """The bytes as lines that a person can read."""
    record = readable(buffer)
    if "text" in record:
        return "".join(each if each.isprintable() or each in "\n\t" else HIDDEN for each in record["text"])
    if "value" in record:
        return str(_to_json(record["value"]), "utf-8")
    return f"({len(buffer)} bytes that are no text)"
