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
├── HardwareError             a device refused, vanished, or answered nonsense
└── ConfigError               (also ValueError) a setting a person wrote is wrong
"""

from __future__ import annotations


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


class HardwareError(PynetError): ...


class ConfigError(PynetError, ValueError): ...
