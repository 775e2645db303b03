"""What a person types to name a robot."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from desktop_app.address import format_address, parse_address


@pytest.mark.parametrize(
    ("text", "host", "port"),
    [
        ("rover.local", "rover.local", 1857),
        (" rover-7 ", "rover-7", 1857),
        ("192.168.1.37:2000", "192.168.1.37", 2000),
        ("[fe80::1%eth0]:2000", "fe80::1%eth0", 2000),
        ("[::1]", "::1", 1857),
        ("::1", "::1", 1857),
        ("fe80::1%wlan0", "fe80::1%wlan0", 1857),
    ],
)
def test_an_address_is_read_with_and_without_port(text: str, host: str, port: int) -> None:
    assert parse_address(text) == (host, port)
    assert parse_address(format_address(host, port)) == (host, port)


@pytest.mark.parametrize(
    "text", ["", "a b", "rover:", "rover:0", "rover:99999", "http://rover", ":1857", "a:b", "a..b", "x" * 64]
)
def test_what_is_no_address_is_told_with_an_example(text: str) -> None:
    with pytest.raises(ValueError, match=r"rover\.local"):
        parse_address(text)


@given(st.text(max_size=300))
def test_any_text_is_an_address_or_a_value_error(text: str) -> None:
    try:
        host, port = parse_address(text)
    except ValueError:
        return
    assert host
    assert 1 <= port <= 65535
