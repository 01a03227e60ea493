"""XLSX: a workbook with real dates, numbers and truth values, whose texts are texts whatever they begin with."""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Iterator
from itertools import chain, islice
from typing import IO, Any

import xlsxwriter

from connectors.core.reports.table import LIST_SEPARATOR, Cell, Column, Made, Row, Table, plain, utc_text

ROWS_PER_SHEET = 1_048_575
"""What Excel takes below the head; what is more goes on to another sheet."""
MAX_TEXT = 32_767
"""Characters that a cell holds in Excel."""
_MAX_EXACT = 10**15
_FIRST_DAY = dt.datetime(1900, 3, 1, tzinfo=dt.UTC)

_SAMPLE = 200
_NARROWEST, _WIDEST = 8, 60
_NO_GUESSING = {"strings_to_numbers": False, "strings_to_formulas": False, "strings_to_urls": False}


def write_xlsx(table: Table, file: IO[bytes], made: Made, *, rows_per_sheet: int = ROWS_PER_SHEET) -> int:
    """Writes the workbook; returns how many rows there were. Rows lie in a temporary file while they are written."""
    book = xlsxwriter.Workbook(file, {"constant_memory": True, **_NO_GUESSING})
    # Told when it was made, the same rows give the same bytes.
    about = {"title": table.title, "author": made.by, "comments": table.about}
    book.set_properties({**{key: plain(text) for key, text in about.items()}, "created": made.at.astimezone(dt.UTC)})
    sheets, rows, count = _Sheets(book, table), iter(table.rows), 0
    while True:
        sample = list(islice(rows, min(_SAMPLE, rows_per_sheet)))
        if not sample and count:
            break
        rest = islice(rows, rows_per_sheet - len(sample))
        count += sheets.add(sample, chain(sample, rest))
        if not sample:
            break
    book.close()
    return count


class _Sheets:
    """Writes the sheets of one workbook, one after the other: a finished row cannot be touched again."""

    def __init__(self, book: Any, table: Table) -> None:
        self.book, self.table, self.number = book, table, 0
        self.head = book.add_format({"bold": True, "valign": "top", "text_wrap": True, "bg_color": "#E8ECF3"})
        self.date = book.add_format({"num_format": "yyyy-mm-dd hh:mm:ss"})
        self.text = book.add_format({"num_format": "@"})

    def add(self, sample: list[Row], rows: Iterator[Row]) -> int:
        """A sheet with the head and these rows; `sample` are the first of them, which decide the widths."""
        self.number += 1
        sheet = self.book.add_worksheet(_sheet_name(self.table.title, self.number))
        for place, column in enumerate(self.table.columns):
            sheet.set_column(place, place, _width(column, [row[place] for row in sample]))
            sheet.write_string(0, place, plain(column.title), self.head)
        sheet.freeze_panes(1, 0)
        count = 0
        for count, row in enumerate(rows, start=1):
            for place, cell in enumerate(row):
                self._write(sheet, count, place, cell)
        sheet.autofilter(0, 0, count, max(len(self.table.columns) - 1, 0))
        return count

    def _write(self, sheet: Any, row: int, place: int, cell: Cell) -> None:
        if cell is None or cell == "":
            return
        if isinstance(cell, bool):
            sheet.write_boolean(row, place, cell)
        elif isinstance(cell, int) and abs(cell) < _MAX_EXACT:
            sheet.write_number(row, place, cell)
        elif isinstance(cell, dt.datetime) and cell >= _FIRST_DAY:
            sheet.write_datetime(row, place, cell.astimezone(dt.UTC).replace(tzinfo=None), self.date)
        else:
            # Never `write`, which takes a text apart: this one stays a text whatever it begins with.
            sheet.write_string(row, place, _text(cell), self.text)


def _text(cell: Cell) -> str:
    if isinstance(cell, dt.datetime):
        return utc_text(cell)
    text = plain(LIST_SEPARATOR.join(cell) if isinstance(cell, tuple) else str(cell))
    return text if len(text) <= MAX_TEXT else f"{text[: MAX_TEXT - 1]}…"


def _width(column: Column, cells: list[Cell]) -> int:
    longest = max((19 if isinstance(cell, dt.datetime) else len(_text(cell or ""))) for cell in [column.title, *cells])
    return min(max(longest + 2, _NARROWEST), _WIDEST)


def _sheet_name(title: str, number: int) -> str:
    """Excel's rules: 31 characters, none of []:*?/\\, no apostrophe at either end."""
    ending = f" {number}" if number > 1 else ""
    name = re.sub(r"[\[\]:*?/\\]", " ", plain(title))[: 31 - len(ending)].strip(" '")
    return f"{name or 'Report'}{ending}"
