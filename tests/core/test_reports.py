"""Reports as files: what goes in is what a reader gets, and no cell is ever a formula."""

from __future__ import annotations

import csv
import datetime as dt
import io
import json
import os
import re
import tracemalloc
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import IO
from xml.etree import ElementTree

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from connectors.core.reports import Cell, Column, Made, Row, Table, write_csv, write_json, write_xlsx
from connectors.core.reports.csv import defused
from connectors.core.reports.table import utc_text
from connectors.core.reports.xlsx import MAX_TEXT

NOON = dt.datetime(2026, 5, 12, 12, 0, tzinfo=dt.timezone(dt.timedelta(hours=3)))
MADE = Made(NOON, "ada")
SHEET = "{http://schemas.openxmlformats.org/spreadsheetml/2006/main}"
FORMULA = re.compile(r"[\s\"\u200b\ufeff]*[=+\-@＝＋－＠]")

nasty = st.text(
    alphabet=st.sampled_from("=+-@＝；;,|\t\r\n\"' \u200b\ufeffaA1!(){}\\\x00\x1f\ufffe_x0041"), max_size=12
)
texts = st.one_of(nasty, st.text(max_size=20))
times = st.datetimes(timezones=st.just(dt.UTC))
cells = st.one_of(texts, st.integers(), st.booleans(), st.none(), times, st.lists(texts, max_size=3).map(tuple))


def table(*rows: Row, title: str = "Scope ledger") -> Table:
    width = len(rows[0]) if rows else 1
    return Table("ledger", title, tuple(Column(f"c{n}", f"Column {n}") for n in range(width)), rows, "All of it")


def as_csv(*rows: Row, delimiter: str = ",") -> list[list[str]]:
    file = io.BytesIO()
    write_csv(table(*rows), file)
    text = file.getvalue().decode("utf-8-sig")
    return list(csv.reader(io.StringIO(text, newline=""), delimiter=delimiter))[1:]


def as_json(*rows: Row) -> list[list[object]]:
    file = io.BytesIO()
    write_json(table(*rows), file, MADE)
    return [list(row.values()) for row in json.loads(file.getvalue())["rows"]]


class Book:
    """A workbook as its XML says it."""

    def __init__(self, *rows: Row, title: str = "Scope ledger", per_sheet: int = 100) -> None:
        file = io.BytesIO()
        self.count = write_xlsx(table(*rows, title=title), file, MADE, rows_per_sheet=per_sheet)
        self.archive = zipfile.ZipFile(file)
        book = ElementTree.fromstring(self.archive.read("xl/workbook.xml"))  # noqa: S314 - our own
        self.names = [sheet.attrib["name"] for sheet in book.iter(f"{SHEET}sheet")]

    def sheet(self, number: int = 1) -> ElementTree.Element:
        return ElementTree.fromstring(self.archive.read(f"xl/worksheets/sheet{number}.xml"))  # noqa: S314 - our own

    def cells(self, number: int = 1) -> list[list[tuple[str, str]]]:
        """Type ("n" for a number or date) and text of every cell below the head."""
        rows = list(self.sheet(number).iter(f"{SHEET}row"))[1:]
        return [[_cell(cell) for cell in row] for row in rows]


def _cell(cell: ElementTree.Element) -> tuple[str, str]:
    return cell.attrib.get("t", "n"), "".join(cell.itertext())


# No formulas


@given(st.lists(texts, min_size=1, max_size=3).map(tuple))
@example(("=1+1",))
@example(("a", ";\t=1"))
@example(('"=cmd|" /C calc"!A0"',))
def test_no_cell_of_a_csv_begins_like_a_formula_whatever_separates_cells(row: tuple[str, ...]) -> None:
    for delimiter in ",;\t|":
        for line in as_csv(row, delimiter=delimiter):
            assert not [cell for cell in line if FORMULA.match(cell)]


@given(texts)
def test_no_cell_of_a_csv_begins_with_a_tab_or_a_line_end(text: str) -> None:
    assert not as_csv((text,))[0][0].startswith(("\t", "\r", "\n"))


@given(st.lists(cells, min_size=1, max_size=4).map(tuple))
def test_no_cell_of_a_workbook_is_a_formula_or_a_link(row: Row) -> None:
    book = Book(row, title="=HYPERLINK(1)")
    sheet = book.sheet()
    assert not list(sheet.iter(f"{SHEET}f"))
    assert not list(sheet.iter(f"{SHEET}hyperlink"))
    assert not [name for name in book.archive.namelist() if "externalLink" in name]


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("=1+1", "'=1+1"),
        ("  +1", "'  +1"),
        ('"@a', "'\"@a"),
        ("a;=1", "a;'=1"),
        ("＝1", "'＝1"),
        ("\tx", "'\tx"),
        ("a\r\n-x", "a\n'-x"),
    ],
)
def test_what_could_be_a_formula_gets_an_apostrophe(text: str, shown: str) -> None:
    assert defused(text) == shown


@pytest.mark.parametrize("text", ["https://www.googleapis.com/auth/gmail.send", "ada@acme.example", "a-b", "", "1 = 2"])
def test_what_is_no_formula_stays_as_it_is(text: str) -> None:
    assert defused(text) == text


# What a reader gets


@given(st.lists(st.tuples(cells, cells), max_size=5))
def test_json_gives_back_every_text_exactly(rows: list[Row]) -> None:
    def plain(cell: Cell) -> object:
        return utc_text(cell) if isinstance(cell, dt.datetime) else list(cell) if isinstance(cell, tuple) else cell

    assert as_json(*rows) == [[plain(cell) for cell in row] for row in rows]


def test_a_json_document_says_what_it_is() -> None:
    file = io.BytesIO()
    assert write_json(table(("a",)), file, MADE) == 1
    document = json.loads(file.getvalue())
    assert document | {"rows": []} == {
        "report": "ledger",
        "title": "Scope ledger",
        "about": "All of it",
        "generated_at": "2026-05-12T09:00:00Z",
        "generated_by": "ada",
        "columns": [{"key": "c0", "title": "Column 0", "about": ""}],
        "rows": [],
    }


def test_a_csv_begins_with_a_mark_and_ends_lines_as_the_standard_has_it() -> None:
    file = io.BytesIO()
    write_csv(table(("naïve", 1)), file)
    assert file.getvalue() == b'\xef\xbb\xbf"c0","c1"\r\n"na\xc3\xafve","1"\r\n'


def test_a_csv_says_true_false_and_nothing_and_times_in_utc() -> None:
    assert as_csv((True, False, None, -3, NOON, ("a", "b"))) == [
        ["true", "false", "", "-3", "2026-05-12T09:00:00Z", "a; b"]
    ]


def test_a_workbook_has_real_numbers_truth_values_and_dates() -> None:
    ((number, truth, date, text),) = Book((7, True, NOON, "7")).cells()
    assert (number, truth, text) == (("n", "7"), ("b", "1"), ("inlineStr", "7"))
    assert date == ("n", "46154.375")  # 12 May 2026, 9:00, in days since Excel's first


def test_a_number_too_long_for_a_spreadsheet_stays_exact() -> None:
    assert Book((10**15 + 1,)).cells() == [[("inlineStr", "1000000000000001")]]


def test_a_time_before_all_spreadsheets_is_a_text() -> None:
    assert Book((dt.datetime(1899, 1, 1, tzinfo=dt.UTC),)).cells() == [[("inlineStr", "1899-01-01T00:00:00Z")]]


@given(texts)
@example("a\x00b\x1b[31m\ufffe")
@example("_x0041_")
def test_a_workbook_can_be_read_whatever_a_text_holds(text: str) -> None:
    assert len(Book((text, "end")).cells()[0]) == (2 if text else 1)


def test_a_text_longer_than_a_cell_is_cut_off_with_a_sign() -> None:
    ((_, text),) = Book(("a" * (MAX_TEXT + 1),)).cells()[0]
    assert (len(text), text[-1]) == (MAX_TEXT, "…")


def test_the_head_stays_in_sight_and_filters_all_rows() -> None:
    sheet = Book(("a", "b"), ("c", "d")).sheet()
    pane, head = sheet.find(f".//{SHEET}pane"), sheet.find(f"{SHEET}autoFilter")
    assert pane is not None
    assert head is not None
    assert (pane.attrib["state"], pane.attrib["ySplit"], head.attrib["ref"]) == ("frozen", "1", "A1:B3")


def test_columns_are_as_wide_as_what_they_hold_within_reason() -> None:
    widths = [float(col.attrib["width"]) for col in Book(("a", "b" * 30, "c" * 500)).sheet().iter(f"{SHEET}col")]
    assert widths[0] < widths[1] < widths[2] < 65


def test_rows_that_do_not_fit_on_one_sheet_go_on_to_another() -> None:
    book = Book(*[(number,) for number in range(7)], per_sheet=3)
    assert (book.count, book.names) == (7, ["Scope ledger", "Scope ledger 2", "Scope ledger 3"])
    assert [len(book.cells(number)) for number in (1, 2, 3)] == [3, 3, 1]


def test_a_report_without_rows_has_its_head() -> None:
    file = io.BytesIO()
    assert Book().cells() == []
    assert write_csv(table(), file) == 0
    assert as_json() == []


def test_a_title_that_no_sheet_may_have_is_made_one() -> None:
    assert Book(("a",), title="[Access] review: a/b*c? of the whole company").names == ["Access  review  a b c  of the"]


@pytest.mark.parametrize("write", [write_csv, lambda report, file: write_json(report, file, MADE)], ids=["csv", "json"])
def test_memory_does_not_grow_with_the_rows(write: Callable[[Table, IO[bytes]], int]) -> None:
    def peak(rows: int) -> int:
        lines = ((f"project-{number}", "mail.send", number) for number in range(rows))
        report = Table("ledger", "Ledger", (Column("a", "A"), Column("b", "B"), Column("c", "C")), lines)
        tracemalloc.start()
        with Path(os.devnull).open("wb") as nowhere:
            write(report, nowhere)
        found = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return found

    peak(25_000)  # fills what is remembered of texts
    assert peak(50_000) < 1.5 * peak(25_000)
