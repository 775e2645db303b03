"""Trees and bad luck: what must not be lost, overwritten or deleted, and what must not stop the rest."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from pynet_core.controller import Controller
from pynet_core.errors import FilesError
from pynet_core.transfer.options import Options
from tests.core.file_place import Place, place_in

MOVE = Options(delete_source=True)


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Place]:
    with place_in(tmp_path, max_poolsize=20, allow_remove=True) as place:
        yield place


@pytest.fixture
def controller(place: Place) -> Controller:
    return Controller(port=place.gateway.port)


def move(place: Place, controller: Controller, way: str, *sources: str) -> None:
    if way == "get":
        controller.get_files(sources, place.down, options=MOVE)
    else:
        controller.put_files(sources, options=MOVE)


@pytest.mark.parametrize("way", ["get", "put"])
def test_of_two_sources_files_of_one_name_the_second_is_told_and_stays(
    way: str, place: Place, controller: Controller
) -> None:
    for folder in "xy":
        (place.source / folder).mkdir()
        (place.source / folder / "report").write_text(folder)
    sources = [f"{place.source}/{folder}/report" for folder in "xy"]
    with pytest.raises(FilesError) as caught:
        move(place, controller, way, *sources)
    assert caught.value.failed == {sources[1]: f"lands under the same name as {sources[0]}"}
    assert ((place.down if way == "get" else place.up) / "report").read_text() == "x"
    assert (place.source / "y/report").read_text() == "y"


@pytest.mark.parametrize("way", ["get", "put"])
def test_a_file_that_is_moved_onto_itself_stays(way: str, place: Place, controller: Controller) -> None:
    there = place.down if way == "get" else place.up
    there.mkdir()
    (there / "only").write_text("one")
    with pytest.raises(FilesError, match="the very file"):
        move(place, controller, way, f"{there}/")
    assert (there / "only").read_text() == "one"


def test_an_empty_path_is_not_all_that_is_here(controller: Controller) -> None:
    for call in (controller.get_files, controller.put_files):
        with pytest.raises(ValueError, match="empty"):
            call([""])
