"""What the work of a swarm gives: drawn one by one, and how far it is."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Generic, NamedTuple, Self, TypeVar, cast

from pynet_core.dealing import Work

_Result = TypeVar("_Result")


class SwarmProgress(NamedTuple):
    """How far a swarm's work is."""

    given: int  # values taken from what the swarm was given; of a stream, its shares
    taken: int  # results taken from it
    failed: int  # calls, or shares, that ended with an error
    repeated: int  # given to another pair because theirs was lost


class Results(Generic[_Result]):
    """What a swarm's work gives, one after the other.  Nothing runs before the first is asked for.

    Leaving the loop ends the work, and so does an error in it, or Ctrl-C; for
    certain and at once by `with swarm.map(...) as results:`.
    """

    def __init__(self, work: Work[_Result]) -> None:
        self._work = work
        self._items = work.run()  # stops the crew when it is thrown away
        self._taken = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.cancel()

    def __iter__(self) -> Iterator[_Result]:
        return self

    def __next__(self) -> _Result:
        result = next(self._items)
        self._taken += 1
        return result

    @property
    def progress(self) -> SwarmProgress:
        work = self._work
        return SwarmProgress(work.given, self._taken, work.failed, work.crew.repeated)

    def with_errors(self) -> Results[_Result | Exception]:
        """The same, but a call or share that fails gives its exception at its place; the others go on."""
        self._work.return_errors = True
        return cast("Results[_Result | Exception]", self)

    def wait(self) -> SwarmProgress:
        """Run it to its end and keep no results."""
        for _ in self:
            pass
        return self.progress

    def cancel(self) -> None:
        """End it, from any thread: no more results come.

        What runs has 0.5 s to its end.  Then its pair is cut, and opened anew
        for the next thing that is asked of the swarm.
        """
        self._work.crew.stop()
