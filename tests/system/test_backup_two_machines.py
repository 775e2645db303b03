"""examples/conditional_backup between two machines that share PYNET_KEY, both forms, as real processes."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.core.test_conditional_backup import FILES, KEPT, machines_in, names, plain_form
from tests.system.two_machines import Machine, NoNamespaces, two_machines

pytestmark = [pytest.mark.system, pytest.mark.root, pytest.mark.shared]

PORT = 1857  # nobody else has it there
KEY = "a key of this test, and of nothing else"


@pytest.fixture
def machines() -> Iterator[tuple[Machine, Machine]]:
    try:
        with two_machines() as machines:
            yield machines
    except NoNamespaces as exc:
        pytest.skip(str(exc))


def test_the_plain_form_needs_only_the_address_and_the_key(
    machines: tuple[Machine, Machine], tmp_path: Path
) -> None:
    full, roomy = machines
    plain_form(tmp_path, PORT, roomy.inside, full.inside, gateway_ip=full.address, key=KEY)


def test_the_full_form_moves_just_enough_and_nothing_without_the_key(
    machines: tuple[Machine, Machine], tmp_path: Path
) -> None:
    full, roomy = machines
    there = ("--gateway", full.address)
    with machines_in(tmp_path, PORT, full.inside, PYNET_KEY=KEY) as place:
        for key, words in (("", "has no identity"), ("another of as many characters", "refused with 401")):
            refused = place.run_controller(None, *there, inside=roomy.inside, PYNET_KEY=key)
            assert refused.returncode != 0
            assert words in refused.stderr
            assert len(place.left()) == FILES
        done = place.run_controller(None, *there, inside=roomy.inside, PYNET_KEY=KEY)
        assert done.returncode == 0, done.stderr
        assert place.moved() == names(0, FILES - KEPT)
        assert place.left() == names(FILES - KEPT, FILES)


def test_without_a_key_another_machine_finds_no_gateway(
    machines: tuple[Machine, Machine], tmp_path: Path
) -> None:
    full, roomy = machines
    with machines_in(tmp_path, PORT, full.inside) as place:
        refused = place.run_controller(None, "--gateway", full.address, inside=roomy.inside)
        assert refused.returncode != 0
        assert "no gateway at" in refused.stderr
        assert len(place.left()) == FILES
