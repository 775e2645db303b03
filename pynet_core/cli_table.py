"""Tables: drawn by rich on a terminal, plain columns where a program reads them."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence

import click
from rich.console import Console
from rich.table import Table
from rich.text import Text

from pynet_core.cli_frame import printable


def show_table(titles: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Write the rows under their titles.

    Rows that a program reads have no titles, are never cut or wrapped, and have
    two spaces or more between columns.  Colours are off there, and where
    NO_COLOR is set or the terminal knows none.
    """
    rows = [[printable(cell) for cell in row] for row in rows]
    if not sys.stdout.isatty():
        widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
        for row in rows:
            cells = (cell.ljust(width) for cell, width in zip(row, widths, strict=True))
            click.echo("  ".join(cells).rstrip())
        return
    is_plain = bool(os.environ.get("NO_COLOR"))
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="" if is_plain else "bold")
    for number, title in enumerate(titles):
        table.add_column(title, style="" if number or is_plain else "cyan", overflow="fold")
    for row in rows:
        table.add_row(*map(Text, row))  # Text: what others have sent is no markup
    Console().print(table)
