"""Socket swarms for Python: what scripts import."""

from pynet.backend2 import (
    DataType,
    bytes_to_int,
    bytes_to_str,
    from_bytes,
    int_to_bytes,
    safe_print,
    str_to_bytes,
    to_bytes,
)
from pynet_core.client import Batch, Client, Pong, Reconnection, Sink
from pynet_core.controller import Controller, PairId
from pynet_core.discovery import FoundGateway, find_gateways
from pynet_core.errors import (
    ConfigError,
    DeadlineExceeded,
    FilesCancelled,
    FilesError,
    FilesInterrupted,
    LinkClosed,
    LinkError,
    LocalProtocolError,
    OutOfOrder,
    PoolFull,
    ProtocolError,
    PynetError,
    Refused,
    RemoteProtocolError,
    SubroutineError,
)
from pynet_core.feed import Feed
from pynet_core.gateway import Gateway
from pynet_core.keys import Identity
from pynet_core.offering import Offering
from pynet_core.payload import pack, payload, unpack
from pynet_core.results import Results, SwarmProgress
from pynet_core.subroutines import Peer, caller
from pynet_core.subscription import StreamStats, Subscription
from pynet_core.swarm import Swarm
from pynet_core.transfer.asking import Files
from pynet_core.transfer.choosing import Choice
from pynet_core.transfer.meter import Progress
from pynet_core.transfer.options import Found, Moved, Options, TreeProgress
from pynet_core.trust import Trusted, TrustStore

__all__ = [
    "Batch",
    "Choice",
    "Client",
    "ConfigError",
    "Controller",
    "DataType",
    "DeadlineExceeded",
    "Feed",
    "Files",
    "FilesCancelled",
    "FilesError",
    "FilesInterrupted",
    "Found",
    "FoundGateway",
    "Gateway",
    "Identity",
    "LinkClosed",
    "LinkError",
    "LocalProtocolError",
    "Moved",
    "Offering",
    "Options",
    "OutOfOrder",
    "PairId",
    "Peer",
    "Pong",
    "PoolFull",
    "Progress",
    "ProtocolError",
    "PynetError",
    "Reconnection",
    "Refused",
    "RemoteProtocolError",
    "Results",
    "Sink",
    "StreamStats",
    "SubroutineError",
    "Subscription",
    "Swarm",
    "SwarmProgress",
    "TreeProgress",
    "TrustStore",
    "Trusted",
    "bytes_to_int",
    "bytes_to_str",
    "caller",
    "find_gateways",
    "from_bytes",
    "int_to_bytes",
    "pack",
    "payload",
    "safe_print",
    "str_to_bytes",
    "to_bytes",
    "unpack",
]
