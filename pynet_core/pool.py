"""Who is in a gateway: newcomers, pairs that have a place, and threads that were left behind."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from typing import Final, Literal

from pynet_core.admission import MAX_UNPROVEN, Admission, is_crowded, same_pair
from pynet_core.handler import Handler
from pynet_core.subroutines import Peer
from pynet_core.trust import Trusted
from pynet_core.wire import Hello

_log = logging.getLogger(__name__)

MAX_STUCK: Final = 16  # threads left behind in a subroutine whose peer has gone

OnPair = Callable[[Peer, Literal["opened", "closed"]], object]


class Pool:
    """The handlers of one gateway, and who hears of them.  Any thread."""

    def __init__(self, admission: Admission, on_pair: OnPair | None) -> None:
        self._admission = admission
        self._on_pair = on_pair
        self._order = threading.RLock()  # held while a pair opens or closes and on_pair hears of it
        self._lock = threading.Lock()  # of what follows; taken after _order, never held in others' code
        self.unproven: set[Handler] = set()
        self.live: set[Handler] = set()
        self.stuck: set[Handler] = set()  # place freed, but their subroutine has not come back
        self.room = threading.Semaphore(MAX_UNPROVEN)  # for newcomers; who is proven has left it
        self._telling: threading.Thread | None = None  # who is in on_pair
        self._suspects: set[tuple[Handler, int]] = set()
        self._revoked: set[Handler] = set()

    def all(self) -> set[Handler]:
        with self._lock:
            return self.unproven | self.live | self.stuck

    @property
    def tells_here(self) -> bool:
        """We are in on_pair: whatever opens or closes waits until we return from there."""
        return self._telling is threading.current_thread()

    def is_crowded(self, ip: str) -> bool:
        """So many newcomers are from this address that one more must wait outside."""
        with self._lock:
            return is_crowded(ip, [handler.ip for handler in self.unproven])

    def enter(self, handler: Handler) -> None:
        """One more newcomer, for whom there is room."""
        with self._lock:
            self.unproven.add(handler)

    def admit(self, handler: Handler, hello: Hello, device: Trusted | None) -> Peer:
        """Give a newcomer a place.

        Raises:
            NotAdmitted: 401 not its id, 500 bad purpose or an attempt that is not newer, 503 no place.
        """
        peer = self._admission.identify(hello, device)
        with self._order:
            with self._lock:
                earlier = same_pair(hello, self.live)
                if earlier is None:
                    self._admission.check_room(peer, [other.peer for other in self.live if other.peer])
                else:  # its place goes over in one step: nobody can come between
                    self.live.discard(earlier)
                    self.stuck.add(earlier)
                handler.hello, handler.peer = hello, peer
                self.unproven.discard(handler)
                self.live.add(handler)
            self.room.release()
            if earlier is not None and earlier.peer is not None:
                earlier.abort()
                self._tell(earlier.peer, "closed")
            self._tell(peer, "opened")
        return peer

    def retire(self, handler: Handler) -> None:
        """Take its place back; idempotent."""
        with self._lock:
            if handler in self.unproven:
                self.unproven.discard(handler)
                self.room.release()
                return
        with self._order:
            with self._lock:
                self.stuck.discard(handler)
                was_live = handler in self.live
                self.live.discard(handler)
            if was_live and handler.peer is not None:
                self._tell(handler.peer, "closed")

    def look_round(self) -> None:
        """Close the pairs of who is trusted no longer; free the places of stuck ones whose peer has gone.

        For one thread, now and then.
        """
        with self._lock:
            live = {handler: handler.peer for handler in self.live if handler.peer is not None}
        self._admission.refresh()
        struck_off = {handler for handler, peer in live.items() if not self._admission.stands_by(peer)}
        for handler in struck_off - self._revoked:
            _log.info("pair with %s cut: it is trusted no longer, or as something else", handler.address)
            handler.abort()
        self._revoked = struck_off
        gone = {(each, each.turns) for each in live if each.running and each.peer_has_gone()}
        for handler, _ in gone & self._suspects:  # seen twice: its thread had time to notice by itself
            self._leave_behind(handler)
        self._suspects = gone

    def _leave_behind(self, handler: Handler) -> None:
        with self._order:
            with self._lock:
                if handler not in self.live or len(self.stuck) >= MAX_STUCK:
                    return
                self.live.discard(handler)
                self.stuck.add(handler)
                count = len(self.stuck)
            handler.abort()  # nothing more of it runs once it has been told closed
            if handler.peer is not None:
                self._tell(handler.peer, "closed")
        _log.warning(
            "peer %s has gone, but subroutine %r does not return: place freed, thread kept (%d of %d)",
            handler.address,
            handler.running,
            count,
            MAX_STUCK,
        )

    def _tell(self, peer: Peer, what: Literal["opened", "closed"]) -> None:
        if self._on_pair is None:
            return
        self._telling = threading.current_thread()
        try:
            self._on_pair(peer, what)
        except BaseException:  # not our code, sys.exit() included: it must not end the thread that tells
            _log.exception("on_pair(%s, %r) failed", peer.pair_id, what)
        finally:
            self._telling = None
