"""Every exception pynet raises on purpose.

PynetError
├── LinkError                 the connection is gone or unusable; reconnect
│   ├── LinkClosed            the peer closed it, or the network did
│   ├── DeadlineExceeded      (also TimeoutError) the peer was too slow
│   └── Refused               the gateway answered HELLO with a refusal; `.code` says which
│       └── PoolFull          503: every place in the gateway's pool is taken
├── ProtocolError             bytes that break the wire format
│   ├── RemoteProtocolError   the peer broke it
│   └── LocalProtocolError    we are about to; a bug on our side
├── SubroutineError           the far side ran our request and it failed
├── OutOfOrder                the idents of a share of a swarm's stream do not rise
├── FilesError                some files did not arrive; `.failed` says why, `.arrived` is what did
│   ├── FilesInterrupted      (also LinkClosed) the connection was lost half-way; reconnect and ask again
│   └── FilesCancelled        whoever asked has changed its mind; ask again to go on
├── HardwareError             a device refused, vanished, or answered nonsense
└── ConfigError               (also ValueError) a setting a person wrote is wrong
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from pynet_core.transfer.options import Moved

MAX_NAMED: Final = 100  # files in the message of a FilesError


class PynetError(Exception):
    """Base class: `except PynetError` catches all of ours and nothing else."""


class LinkError(PynetError): ...


class LinkClosed(LinkError): ...


class DeadlineExceeded(LinkError, TimeoutError): ...


class Refused(LinkError):
    """The gateway said no: 401 identity, 403 role, 426 version, 500 error, 503 pool."""

    def __init__(self, code: int, reason: str) -> None:
        super().__init__(f"refused with {code}: {reason}")
        self.code = code
        self.reason = reason


class PoolFull(Refused): ...


class ProtocolError(PynetError): ...


class RemoteProtocolError(ProtocolError): ...


class LocalProtocolError(ProtocolError): ...


class SubroutineError(PynetError):
    """A subroutine failed on the peer.

    `error` is the far exception's type name and `reason` its message; `code` is
    403 (role), 404 (no such subroutine) or 500 (it raised, or cannot do this).
    """

    def __init__(self, name: str, error: str, reason: str, code: int = 500) -> None:
        super().__init__(f"subroutine {name!r} failed on the peer: {error}: {reason}")
        self.name = name
        self.error = error
        self.reason = reason
        self.code = code


class OutOfOrder(PynetError):
    """Nobody can tell what comes next, or what has come already."""


class FilesError(PynetError):
    """Some files did not arrive.

    `failed` maps the path of each, where it comes from, to the reason.  What
    is in `arrived` is whole and verified: local paths of a download, and of an
    upload the paths that were sent.  Of a tree `moved` says how much has
    arrived, and `arrived` is empty: a million paths fill the memory.
    """

    moved: Moved | None = None

    def __init__(self, failed: Mapping[str, str], arrived: Sequence[str] = (), what: str = "") -> None:
        self.failed = dict(failed)
        self.arrived = list(arrived)
        count = len(self.failed)
        what = what or f"{count} of {count + len(self.arrived)} files did not arrive"
        # The message is for people: all of them, unless that is a book; `failed` has the rest.
        named = [f"{path!r} {reason}" for path, reason in list(self.failed.items())[:MAX_NAMED]]
        more = [f"and {count - MAX_NAMED} more"] if count > MAX_NAMED else []
        super().__init__("; ".join([what, *named, *more]))


class FilesInterrupted(FilesError, LinkClosed): ...


class FilesCancelled(FilesError): ...


class HardwareError(PynetError): ...


class ConfigError(PynetError, ValueError): ...
