"""What a benchmark writes into a page, between marks; the prose around them is by hand.  Pure."""

from __future__ import annotations

from typing import Final

END: Final = "<!-- to here -->"


def placed(page: str, section: str, begin: str) -> str:
    """The page with this between `begin` and END, at its end when it has no such marks."""
    before, _, rest = page.partition(begin)
    after = rest.partition(END)[2] or "\n"
    return f"{before}{begin}\n\n{section}\n{END}{after}"
