"""What a transfer of a few files consists of: which lands under which name.  Pure."""

from __future__ import annotations

import os
from collections.abc import Iterable

from pynet_core.errors import FilesError
from pynet_core.transfer.jail import PathRefused, landing_name
from pynet_core.transfer.messages import Missed, Node


def plan(found: Iterable[tuple[bytes, Node]]) -> tuple[list[tuple[bytes, Node]], list[Missed]]:
    """The files to move, each with its base, in the order found; and those whose name may not be used.

    Raises:
        FilesError: Two of them would land under one name; nothing has moved.
    """
    planned: list[tuple[bytes, Node]] = []
    refused: list[Missed] = []
    by_name: dict[str, bytes] = {}
    twins: dict[str, str] = {}
    for base, node in found:
        path = joined(base, node.path)
        try:
            name = landing_name(node.path)
        except PathRefused as exc:
            refused.append(Missed(path=path, reason=str(exc)))
            continue
        if name in by_name:
            twins[as_text(path)] = f"lands under the same name as {as_text(by_name[name])}"
            continue
        by_name[name] = path
        planned.append((base, node))
    if twins:
        raise FilesError(twins, what="two files of one name, nothing was moved; fetch them one by one")
    return planned, refused


def joined(base: bytes, path: bytes) -> bytes:
    """The full path of what is at `path` below `base`; as it is when there is no base."""
    return base.rstrip(b"/") + b"/" + path if base else path


def as_text(path: bytes) -> str:
    """The path for people, and for `os` calls on a system like this one."""
    try:
        return os.fsdecode(path)
    except UnicodeDecodeError:  # Windows
        return path.decode(errors="replace")
