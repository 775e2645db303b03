"""Moving files: what has arrived, verified and safe from a power cut, is removed where it came from."""

from __future__ import annotations

import dataclasses

from pynet_core.errors import FilesError
from pynet_core.transfer.jail import Roots
from pynet_core.transfer.messages import FILE, Doomed, Node, Remove
from pynet_core.transfer.options import Moved, Options
from pynet_core.transfer.plan import as_text, joined
from pynet_core.transfer.removing import remove
from pynet_core.transfer.tree_removing import OpenPair, remove_tree


def safer(options: Options) -> Options:
    """What is removed there has to be here: contents are compared, and written to the disk."""
    fsync = "end" if options.fsync == "none" else options.fsync
    return dataclasses.replace(options, checksum=True, fsync=fsync)


class Movables:
    """Files that may go, each in the state in which it was read.  Any thread may add."""

    def __init__(self) -> None:
        self._things: dict[bytes, list[Doomed]] = {}

    def add(self, base: bytes, node: Node) -> None:
        if node.kind == FILE:
            one = Doomed(node.path, node.size, node.mtime_ns, node.ctime_ns, node.inode)
            self._things.setdefault(base, []).append(one)

    def remove_there(self, open_pair: OpenPair, moved: Moved) -> None:
        """At the gateway; what stays is told in `moved`.

        Raises:
            LinkError, SubroutineError: It cannot be asked any more.
        """
        for base, things in self._things.items():
            try:
                remove_tree(open_pair(), things, base, landed=False, recursive=False)
            except FilesError as exc:
                for path, reason in exc.failed.items():
                    _stays(moved, f"{as_text(base)}/{path}", reason)

    def remove_here(self, moved: Moved) -> None:
        """On this machine, but for what has not arrived; what stays is told in `moved`."""
        if moved.failed_count > len(moved.failed):  # then not all that has failed has a name
            return
        failed = set(moved.failed)
        for base, things in self._things.items():
            arrived = [one for one in things if as_text(joined(base, one.path)) not in failed]
            for one in remove(Remove(base=base, landed=False, things=arrived), base, Roots(None)):
                if one is not None:
                    _stays(moved, f"{as_text(base)}/{as_text(one.path)}", one.reason)


def _stays(moved: Moved, path: str, reason: str) -> None:
    moved.failed[path] = f"has arrived, but is still there: {reason}"
    moved.failed_count += 1
