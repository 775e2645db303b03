"""The controller's end of one pair: ask for streams, batches and buffers, one at a time."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator, Sequence
from typing import Any, Final

from pynet_core.channel import PlainChannel
from pynet_core.offering import LISTING, Offering, unpack_offerings
from pynet_core.pair import Pong as Pong  # what ping returns
from pynet_core.redial import Redial
from pynet_core.session import State
from pynet_core.sink import CONTROL_UNSENT_BYTES, SINK_UNSENT_BYTES
from pynet_core.sink import Sink as Sink  # what open_buffer returns
from pynet_core.streaming import NO_ARGUMENTS, Streaming
from pynet_core.streaming import Reconnection as Reconnection  # what on_reconnect is told
from pynet_core.streaming import StreamCallback as StreamCallback
from pynet_core.traffic import IMPATIENT
from pynet_core.transfer.asking import Files, StrPath, download, query_for, upload
from pynet_core.transfer.meter import OnProgress, Stopped
from pynet_core.wire import Kind

_BATCH: Final = Kind.BATCH  # on 3.11 a member of an enum class is found by a Python function
_BUFFER: Final = Kind.BUFFER


class Batch(bytes):
    """What a batch function returned; `ident` is what it gave along, 0 when nothing."""

    ident: int = 0
    number: int = 0  # from a swarm: which of what that was given this is the result of


class Client(Streaming):
    """One pair with a gateway; made by `Controller.get_client`.

    One operation at a time, from one thread at a time: open another client
    for what is to run beside it.  A failing subroutine costs the call, not the pair.

    `timeout_s` is how long a call or ping may take; None, the default, is for
    ever.  TCP tells of a dead peer within 4 s; but where what was sent last did
    not reach it, as when the link has gone before, only pairs of purpose safety
    or control hear of it so soon, others after some 15 min, for their peer may
    merely pause.  An answer that comes too late would be taken for the next
    one's, so the pair is closed.
    `cancel_timeout_s` is how long a stream that the callback has ended may take
    to its next item, and so to its end; past it the generator counts as stuck.
    """

    def __init__(
        self,
        channel: PlainChannel,
        purpose: str,
        *,
        redial: Redial | None = None,
        reconnect: bool = False,
        verbose: bool = False,
        download_dir: str = "",
    ) -> None:
        super().__init__(channel, purpose, redial, reconnect=reconnect, verbose=verbose)
        self._download_dir = download_dir

    def list_subroutines(self) -> list[Offering]:
        """What the gateway offers, by name; `.allowed` says whether our role may use it.

        Raises:
            SubroutineError: 404, this gateway is of a version that cannot tell.
            LinkError, RemoteProtocolError: The connection is gone.
        """
        return unpack_offerings(self.get_subroutine_batch(LISTING))

    def get_subroutine_batch(self, name: str, arguments: list[Any] = NO_ARGUMENTS, **kwargs: Any) -> Batch:
        """Call a function on the gateway; returns the bytes it returns, with their ident.

        Raises:
            SubroutineError: It failed, does not exist, or is a generator.
            LinkError: The connection is gone.
        """
        frame = self._exchange.call(_BATCH, name, arguments, kwargs, b"")
        batch = Batch(frame.body)
        batch.ident = frame.ident
        return batch

    def send_subroutine_batch(
        self, name: str = "", buffer: Any = None, arguments: list[Any] = NO_ARGUMENTS, **kwargs: Any
    ) -> int:
        """Call a function with bytes, which it finds in `kwargs['buffer']`; returns the int it returns.

        No bytes, no such key.  What is not an int comes back as 0.

        Raises:
            SubroutineError: It failed, does not exist, or is a generator.
            LinkError: The connection is gone.
        """
        return self._exchange.call(_BUFFER, name, arguments, kwargs, buffer).ident

    def open_buffer(self, name: str, arguments: list[Any] = NO_ARGUMENTS, **kwargs: Any) -> Sink:
        """Call the same function again and again, one way: `sink.put(buffer)` awaits no reply.

        Raises:
            SubroutineError: No such function, not allowed, or a generator.
            LinkError: The connection is gone.
        """
        self._exchange.call(Kind.SINK, name, arguments, kwargs)
        self._user = threading.get_ident()
        unsent = CONTROL_UNSENT_BYTES if self._purpose in IMPATIENT else SINK_UNSENT_BYTES
        return Sink(self._channel, name, unsent, self._exchange.remaining_s)

    def get_files_from_gateway(
        self,
        regex: str = "",
        files: Sequence[StrPath] = (),
        folder: StrPath = "",
        *,
        recursive: bool = False,
        on_progress: OnProgress | None = None,
    ) -> Files:
        """Copy files of the gateway's machine into the download folder; returns their paths here.

        `files` are full paths; without any, those in `folder` (or in all the
        gateway's roots) whose full path `regex` matches from its beginning, as
        `re.match` does.  Every path returned is whole, verified, and safe from
        a power cut.  What is no regular file is in `.skipped` of the result.
        `on_progress(progress)` is called in this thread; what it raises comes
        out here.  The same call again goes on where one was broken off.

        Raises:
            FilesError: Some did not arrive: `.failed` says why, `.arrived` lists the others.  Or two
                are of one name: nothing has moved.
            SubroutineError: The gateway refuses, or cannot list the folder.
            LinkError: The connection is gone; in the middle, it is a FilesInterrupted.
            ValueError, TypeError: What is wrong with the arguments.
        """
        query = query_for(regex, files, folder, recursive)
        with self._files_moving():
            arrived = download(self._channel, query, self._download_dir, on_progress)
        if self._verbose:
            print(f"{len(arrived)} files are downloaded")
        return arrived

    def send_files_to_gateway(
        self, dirname: StrPath = "", files: Sequence[StrPath] = (), *, on_progress: OnProgress | None = None
    ) -> None:
        """Copy files of this machine into the gateway's download folder, or into folder `dirname` in it.

        When this returns they are there: whole, verified, and safe from a power cut.

        Raises:
            As `get_files_from_gateway`; `.arrived` lists paths here.
        """
        with self._files_moving():
            upload(self._channel, files, dirname, on_progress)
        if self._verbose:
            print("Files are sent to the gateway")

    @contextlib.contextmanager
    def files_link(self) -> Iterator[PlainChannel]:
        """The pair's channel, for one thing with files; however it ends, the pair is then idle or closed."""
        with self._files_moving():
            yield self._channel

    @contextlib.contextmanager
    def _files_moving(self) -> Iterator[None]:
        """However it ends, the pair is then free for other things, or closed."""
        self._exchange.begin()
        self._user = threading.get_ident()
        try:
            left_s = self._exchange.deadline_left_s()
            with self._exchange.cut_after(left_s, "the files"), self._channel.carrying_bulk():
                yield
        except Stopped as exc:
            raise exc.cause from None
        finally:
            if self._channel.session.state is not State.IDLE:
                self._exchange.cut()
