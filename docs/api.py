"""Write docs/reference/api.md from the docstrings of what scripts import: `python -m docs.api`."""

from __future__ import annotations

import dataclasses
import enum
import inspect
import re
import textwrap
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import pynet
from pynet import aio, backend2
from pynet_car import operator

PAGE: Final = Path(__file__).parent / "reference/api.md"
INTRO: Final = """\
# What scripts import

Written by `python -m docs.api` from the docstrings; do not edit.  Lengths are in bytes, times in seconds or
nanoseconds, as the names say; a monotonic time is of one machine's clock.
"""
# Heading, and the names in their order; classes come with what they can do.
PARTS: Final[tuple[tuple[str, Any, tuple[str, ...]], ...]] = (
    ("`pynet`: the serving end", pynet, ("Gateway", "caller", "Peer", "Feed", "Offering")),
    ("`pynet`: the calling end", pynet, ("Controller", "Client", "Batch", "Pong", "Reconnection", "Sink")),
    ("`pynet`: streams", pynet, ("Subscription", "StreamStats")),
    ("`pynet`: swarms", pynet, ("Swarm", "Results", "SwarmProgress", "PairId")),
    ("`pynet`: files", pynet, ("Files", "Progress", "Options", "Choice", "TreeProgress", "Found", "Moved")),
    ("`pynet`: payloads", pynet, ("payload", "pack", "unpack")),
    ("`pynet`: trust", pynet, ("Identity", "TrustStore", "Trusted")),
    ("`pynet`: discovery", pynet, ("find_gateways", "FoundGateway")),
    (
        "`pynet`: errors",
        pynet,
        (
            *("PynetError", "ConfigError", "ProtocolError", "LocalProtocolError", "RemoteProtocolError"),
            *("LinkError", "LinkClosed", "DeadlineExceeded", "Refused", "PoolFull", "SubroutineError"),
            *("OutOfOrder", "FilesError", "FilesInterrupted", "FilesCancelled"),
        ),
    ),
    ("`pynet.aio`: in asyncio", aio, tuple(aio.__all__)),
    ("`pynet.backend2`: helpers that scripts of pynetwork 2.4 import", backend2, tuple(backend2.__all__)),
    ("`pynet_car.operator`: drive a car", operator, ("Operator",)),
)
# Public to the rest of pynet, of no use to a script.
INTERNAL: Final = frozenset(
    {*("Gateway.admit", "Gateway.retire", "Gateway.stop_soon"), "Feed.subscribe", "Feed.unsubscribe"}
)
# Given by something else; nobody makes one by hand.
GIVEN: Final = frozenset(
    {
        *("Batch", "Client", "Files", "FoundGateway", "Found", "Moved", "Offering", "PairId", "Peer", "Pong"),
        *("Progress", "Reconnection", "Results", "Sink", "StreamStats", "Subscription", "Swarm"),
        *("SwarmProgress", "TreeProgress", "AsyncClient", "AsyncSwarm"),
    }
)


def page() -> str:
    """The whole page.

    Raises:
        ValueError: A name of `pynet` has no place in it.
    """
    told = {name for _, module, names in PARTS if module is pynet for name in names} | set(backend2.__all__)
    if missing := set(pynet.__all__) - told:
        raise ValueError(f"docs.api has no place for {', '.join(sorted(missing))}")
    lines = [INTRO]
    for title, module, names in PARTS:
        lines.append(f"## {title}\n")
        for name in names:
            lines += _of(name, getattr(module, name))
    return "\n".join(lines).rstrip() + "\n"


def _of(name: str, thing: Any) -> Iterator[str]:
    yield f"### `{name}{'' if name in GIVEN else _signature(thing)}`\n"
    yield _text(thing)
    if not inspect.isclass(thing):
        return
    yield from _fields(thing)
    members = [
        (member, value)
        for member, value in inspect.getmembers_static(thing)
        if not (member.startswith("_") or f"{name}.{member}" in INTERNAL or _is_inherited(thing, member))
    ]
    attributes = [(member, value) for member, value in members if isinstance(value, property)]
    if attributes:
        yield (
            "\n".join(f"- `.{member}`: {_one_line(value)}".rstrip(": ") for member, value in attributes)
            + "\n"
        )
    for member, value in members:
        if not isinstance(value, property) and callable(bound := getattr(thing, member)):
            yield f"#### `{name}.{member}{_signature(bound)}`\n"
            yield _text(value)


def _is_inherited(thing: type, member: str) -> bool:
    """From Python itself: `bytes`, `tuple`, `Exception`."""
    owner = next(base for base in thing.__mro__ if member in base.__dict__)
    return not owner.__module__.startswith(("pynet", "pi_agent")) or member in ("count", "index")


def _fields(thing: type) -> Iterator[str]:
    if dataclasses.is_dataclass(thing):
        names = [field.name for field in dataclasses.fields(thing) if not field.name.startswith("_")]
    else:
        names = list(getattr(thing, "_fields", ()))
    if names:
        yield "Fields: " + ", ".join(f"`{name}`" for name in names) + ".\n"


def _signature(thing: Any) -> str:
    if inspect.isclass(thing) and issubclass(thing, (BaseException, enum.Enum)):
        return ""
    try:
        signature = inspect.signature(thing)
    except (TypeError, ValueError):  # it takes what its base in C takes
        return ""
    parameters = [
        parameter.replace(annotation=parameter.empty)
        for name, parameter in signature.parameters.items()
        if name not in ("self", "cls")
    ]
    told = str(signature.replace(parameters=parameters, return_annotation=signature.empty))
    told = re.sub(r"<(\w+\.\w+): [^>]+>", r"\1", told)  # a member of an enum
    told = re.sub(r"<function [^>]+>+( at \w+>)?", "...", told)
    returns = signature.return_annotation
    if inspect.isclass(thing) or returns in (signature.empty, None, "None"):
        return told
    return f"{told} -> {returns if isinstance(returns, str) else returns.__name__}"


def _text(thing: Any) -> str:
    """Its docstring as Markdown: what is indented under "Raises:" becomes a list."""
    told = inspect.getdoc(thing) or ""
    if told.startswith(("Create and return a new", "str(object")):
        return ""
    sections = re.split(r"^(\w[\w ,]*):$\n", told, flags=re.MULTILINE)
    parts = [sections[0].strip()]
    for title, body in zip(sections[1::2], sections[2::2], strict=True):
        indented, rest = _split(body)
        parts += [f"{title}:\n\n{indented}", rest]
    # An example in the text stays as it is.
    return "\n\n".join(part for part in parts if part) + "\n"


def _split(body: str) -> tuple[str, str]:
    """What is indented at its beginning as a list, and what follows."""
    lines = body.splitlines()
    count = next((i for i, line in enumerate(lines) if line and not line.startswith(" ")), len(lines))
    entries = re.sub(r"\n {2,}", " ", textwrap.dedent("\n".join(lines[:count])).strip())
    listed = "\n".join(f"- {line}" for line in entries.splitlines() if line.strip())
    return listed, "\n".join(lines[count:]).strip()


def _one_line(thing: Any) -> str:
    return " ".join((inspect.getdoc(thing) or "").split())


if __name__ == "__main__":
    PAGE.write_text(page())
