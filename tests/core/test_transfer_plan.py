"""plan: which file lands under which name; pure."""

from __future__ import annotations

import pytest

from pynet_core.errors import FilesError
from pynet_core.transfer.messages import FILE, Node
from pynet_core.transfer.plan import joined, plan


def found(path: str) -> tuple[bytes, Node]:
    base, _, name = path.rpartition("/")
    return base.encode(), Node(name.encode(), FILE, 1, 0, 0, 0, 0o644)


def test_files_are_planned_in_the_order_found() -> None:
    planned, refused = plan([found("/b/z"), found("/a/y"), found("/c/x")])
    assert [(base, node.path) for base, node in planned] == [(b"/b", b"z"), (b"/a", b"y"), (b"/c", b"x")]
    assert not refused


def test_two_files_of_one_name_are_an_error_that_names_both() -> None:
    with pytest.raises(FilesError) as caught:
        plan([found("/a/x"), found("/b/y"), found("/b/x")])
    assert list(caught.value.failed) == ["/b/x"]
    assert "/a/x" in str(caught.value)
    assert caught.value.arrived == []


def test_a_name_that_may_not_be_used_costs_its_own_file_only() -> None:
    evil = b"/a", Node(b"../b", FILE, 1, 0, 0, 0, 0o644)
    planned, refused = plan([found("/a/x"), evil])
    assert [node.path for _, node in planned] == [b"x"]
    assert [one.path for one in refused] == [b"/a/../b"]


@pytest.mark.parametrize(
    ("base", "path", "whole"),
    [(b"/a", b"b", b"/a/b"), (b"/", b"b", b"/b"), (b"", b"b", b"b"), (b"a", b"b/c", b"a/b/c")],
)
def test_a_path_is_told_as_it_was_asked_for(base: bytes, path: bytes, whole: bytes) -> None:
    assert joined(base, path) == whole
