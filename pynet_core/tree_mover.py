"""What a Controller does with whole trees of files: get, put, list, remove."""

from __future__ import annotations

import dataclasses
import os
import threading
from collections.abc import Iterator, Sequence

import msgspec

from pynet_core.client import Client
from pynet_core.transfer.asking import StrPath
from pynet_core.transfer.carriers import FIRST_PAIRS
from pynet_core.transfer.jail import without_dots
from pynet_core.transfer.messages import Doomed
from pynet_core.transfer.options import DEFAULTS, Found, Moved, OnTreeProgress, Options
from pynet_core.transfer.tree_asking import HONOURED, check_pairs, get_tree, list_tree, tree_of
from pynet_core.transfer.tree_putting import put_tree
from pynet_core.transfer.tree_removing import remove_tree
from pynet_core.wire import Frame


class TreeMover:
    """Opens pairs of its own for each call, and closes them.  Any thread."""

    download_dir: str

    def _bulk_pair(self, gateway: tuple[str, int] | None = None, ahead: Frame | None = None) -> Client:
        """A new pair with the gateway, or with another one, of which `ahead` has been asked already."""
        raise NotImplementedError

    def _is_near(self) -> bool:
        """The gateway is on this machine."""
        raise NotImplementedError

    def _checked(self, pairs: int | None, options: Options) -> tuple[Options, int | None]:
        """With what is known of the way; raises ValueError, TypeError for what is not possible."""
        check_pairs(pairs)
        options.refuse_unknown(HONOURED)
        if not self._is_near():
            return options, pairs
        if options.compress == "auto":
            options = dataclasses.replace(options, compress="never")
        return options, pairs or FIRST_PAIRS  # more share the same processors, and are slower

    def get_files(
        self,
        source: StrPath | Sequence[StrPath],
        into: StrPath = "",
        *,
        files: Sequence[StrPath] = (),
        regex: str = "",
        pairs: int | None = None,
        options: Options = DEFAULTS,
        gateways: Sequence[tuple[str, int]] | None = None,
        on_progress: OnTreeProgress | None = None,
        cancel: threading.Event | None = None,
    ) -> Moved:
        """Copy files and whole folders of the gateway's machine into folder `into`, over many pairs.

        As with rsync, `logs` lands as a folder of that name and `logs/` as
        what is in it.  `files` narrows it to these paths below a `source` that
        ends with `/`, `regex` to files whose full path it matches from the
        beginning.  `pairs`: how many connections, of purpose bulk; None finds
        out what is fastest.  `gateways`, as (host, port), are several that have
        the same tree at the same path: the first lists it, each file comes
        from any of them, and what one cannot give the first is asked for.
        `on_progress` is called in a thread of ours, one call at a time; what
        it raises comes out here.  The same call again goes on where one was
        broken off.

        Raises:
            FilesError: Some did not arrive: `.failed` says why, `.moved` counts the others.
            FilesCancelled: `cancel` was set.
            SubroutineError: The gateway refuses, or cannot list the source.
            PynetError: The tree holds the folder that it would land in.
            LinkError: No connection; if it was lost in the middle, a FilesInterrupted.
            ValueError, TypeError: What is wrong with the arguments, or an option that is not built yet.
        """
        options, near_pairs = self._checked(pairs, options)
        if gateways is not None and not len(gateways):
            raise ValueError("no gateways to ask; leave it out for the controller's own")
        if gateways is not None and options.delete_source:
            raise ValueError("delete_source is for one gateway: of several it is not clear where to delete")
        tree = tree_of(source, files, regex, options)
        folder = into or self.download_dir
        several: Sequence[tuple[str, int] | None] = gateways or [None]
        return get_tree(
            lambda number, ahead=None: self._bulk_pair(several[number % len(several)], ahead),
            tree,
            folder,
            pairs=pairs if gateways else near_pairs,
            options=options,
            on_progress=on_progress,
            cancel=cancel,
            sources=len(several),
        )

    def put_files(
        self,
        sources: StrPath | Sequence[StrPath],
        dirname: StrPath = "",
        *,
        pairs: int | None = None,
        options: Options = DEFAULTS,
        on_progress: OnTreeProgress | None = None,
        cancel: threading.Event | None = None,
    ) -> Moved:
        """Copy files and whole folders into the gateway's download folder, or folder `dirname` in it.

        All else is as in `get_files`.
        """
        options, pairs = self._checked(pairs, options)
        tree = tree_of(sources, (), "", options)
        tree = msgspec.structs.replace(tree, sources=[without_dots(path) for path in tree.sources])
        return put_tree(
            lambda number: self._bulk_pair(),
            tree,
            dirname,
            pairs=pairs,
            options=options,
            on_progress=on_progress,
            cancel=cancel,
        )

    def list_files(
        self,
        source: StrPath | Sequence[StrPath],
        *,
        regex: str = "",
        options: Options = DEFAULTS,
        landed: bool = False,
        names_folders: bool = False,
    ) -> Iterator[Found]:
        """What `get_files` would move, folders before what is in them, while it is being found.

        `landed`: the sources are below the gateway's download folder.
        `names_folders`: without `recursive` too folders in a folder are named.

        Raises:
            As `get_files`, at the first step.
        """
        options, _ = self._checked(None, options)
        tree = tree_of(source, (), regex, options, landed=landed, names_folders=names_folders)
        yield from list_tree(self._bulk_pair(), tree, options)

    def remove_files(
        self,
        paths: StrPath | Sequence[StrPath],
        folder: StrPath = "",
        *,
        landed: bool = True,
        recursive: bool = False,
    ) -> int:
        """Remove files at the gateway, and folders: empty ones, or with `recursive` all that is in them.

        The paths are below the gateway's download folder, or `folder` in it;
        without `landed`, `folder` is a full path, and the gateway must have
        been started with `allow_remove`.  Returns how many have gone.

        Raises:
            FilesError: Some have not; the others have.
            SubroutineError: The gateway lets nobody do that.
            LinkError: No connection.
        """
        several = [paths] if isinstance(paths, (str, os.PathLike)) else paths
        things = [Doomed(os.fsencode(path)) for path in several]
        base = os.fsencode(folder)
        return remove_tree(self._bulk_pair(), things, base, landed=landed, recursive=recursive)
