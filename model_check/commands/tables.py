"""Tables for people, in which no value is cut off, however narrow the terminal."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator

from rich.console import Console, Group, RenderableType
from rich.table import Column, Row, Table
from rich.text import Text

PIPE_WIDTH = 160
"""Columns where there is no terminal to tell, nor COLUMNS."""


def show_table(table: Table) -> None:
    """Write ``table`` to standard output."""
    is_known = sys.stdout.isatty() or os.environ.get("COLUMNS", "").isdigit()
    console = Console(
        width=None if is_known else PIPE_WIDTH, highlight=False, markup=False, emoji=False
    )
    console.print(fitted(table, console.width))


def fitted(table: Table, width: int) -> RenderableType:
    """``table``, so that in so many columns nothing of it is cut off.

    If not every word has room beside the others, each row becomes some lines, of a column each.
    """
    # What stands between them, and beside them.
    needed = len(table.columns) - 1 + (2 if table.show_edge else 0) - (0 if table.pad_edge else 2)
    for column in table.columns:
        words = [text.split() for text in _lines_of(column)]
        # Columns of words, such as ids and figures, keep their width; sentences give way.
        column.no_wrap = all(len(each) <= 1 for each in words)
        column.overflow = "fold"
        needed += 2 + max((len(word) for each in words for word in each), default=0)
    return table if needed <= width else Group(*_records(table))


def _lines_of(column: Column) -> Iterator[str]:
    for cell in (column.header, *column.cells):
        yield from _plain(cell).splitlines()


def _plain(cell: RenderableType) -> str:
    return cell.plain if isinstance(cell, Text) else str(cell)


def _records(table: Table) -> Iterator[Text]:
    if table.title:
        yield Text(f"{table.title}\n")
    cells = zip(*(column.cells for column in table.columns), strict=True)
    headers = [_plain(column.header) for column in table.columns]
    for row, values in zip(table.rows, cells, strict=True):
        yield from _record(row, headers, [_plain(value) for value in values])
        yield Text()


def _record(row: Row, headers: list[str], values: list[str]) -> Iterator[Text]:
    for header, value in zip(headers, values, strict=True):
        if value:
            label = f"{header}: " if header else ""
            text = value if "\n" not in value else "\n  " + value.replace("\n", "\n  ")
            yield Text.assemble((label, "bold"), text, style=row.style or "", overflow="fold")
