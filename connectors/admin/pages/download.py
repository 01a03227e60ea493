"""Downloads: any report as CSV, XLSX or JSON, or as a page for the printer; each goes on record."""

from __future__ import annotations

import datetime as dt
import tempfile
from dataclasses import dataclass
from itertools import islice
from typing import IO, cast

from django.db.models import Model
from django.http import FileResponse, HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.utils import timezone

from connectors.admin.pages.frame import actor_of
from connectors.core.reports import Cell, Column, Made, Table, write_csv, write_json, write_xlsx
from connectors.core.reports.table import LIST_SEPARATOR
from connectors.flows.events import record_event
from connectors.models import SavedView

PARAMETER = "download"
PRINT = "print"
CONTENT_TYPES = {
    "csv": "text/csv; charset=utf-8",
    "xlsx": "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
    "json": "application/json",
}
MAX_PRINTED = 5_000
"""Rows of the printable page: more would be hundreds of sheets, and too much for some browsers."""

NOTHING = "–"
_SHORT, _MIDDLE, _LONG = 12, 40, 80
"""Characters of a column's longest text: it decides how much room the column gets on paper."""
_IN_MEMORY = 2 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class PrintedColumn:
    """A column on paper. `kind` is how much room it gets: "short", "middle" or "long".

    "below": sentences, which get lines of their own. "same": every row says `text`, which is said once instead.
    """

    place: int
    title: str
    kind: str
    text: str = ""


@dataclass(frozen=True, slots=True)
class PrintedEntry:
    """A row on paper: its cells with their columns' kinds, and what stands below them with its title."""

    cells: list[tuple[str, str]]
    below: list[tuple[str, str]]


def asked_for(request: HttpRequest) -> str:
    """What the address wants instead of the page: "csv", "xlsx", "json", "print", or "" for the page itself."""
    kind = request.GET.get(PARAMETER, "")
    return kind if kind == PRINT or kind in CONTENT_TYPES else ""


def answer(request: HttpRequest, table: Table, kind: str, *, target: Model | None = None) -> HttpResponse:
    """The report in this format. The caller has made sure that the person may see the rows.

    The event is about `target`, the row whose report it is; None: about a view of many rows.
    """
    made = Made(timezone.now(), request.user.get_username())
    if kind == PRINT:
        return _printable(request, table, made, target)
    file, count = _written(table, kind, made)
    _record(request, table, kind, count, target)
    response = FileResponse(
        file, as_attachment=True, filename=_file_name(table, kind, made.at), content_type=CONTENT_TYPES[kind]
    )
    response["Cache-Control"] = "no-store"
    return cast("HttpResponse", response)  # the admin's views are typed so; Django sends a file from any of them


def _written(table: Table, kind: str, made: Made) -> tuple[IO[bytes], int]:
    """The whole file, on disk when it is long: a row that cannot be read ends in an error page, not in half a file."""
    file: IO[bytes] = tempfile.SpooledTemporaryFile(max_size=_IN_MEMORY)  # noqa: SIM115 - the response closes it
    try:
        if kind == "csv":
            count = write_csv(table, file)
        elif kind == "json":
            count = write_json(table, file, made)
        else:
            count = write_xlsx(table, file, made)
    except BaseException:
        file.close()
        raise
    file.seek(0)
    return file, count


def _printable(request: HttpRequest, table: Table, made: Made, target: Model | None) -> HttpResponse:
    rows = [[_text(cell) for cell in row] for row in islice(table.rows, MAX_PRINTED + 1)]
    shown = rows[:MAX_PRINTED]
    _record(request, table, PRINT, len(shown), target)
    columns = [_printed(column, place, shown) for place, column in enumerate(table.columns) if column.on_paper]
    context = {
        "table": table,
        "made": made,
        "made_at": _text(made.at),
        "same": [column for column in columns if column.kind == "same"],
        "columns": [column for column in columns if column.kind not in ("same", "below")],
        "entries": [_entry(row, columns) for row in shown],
        "left_out": [column.title for column in table.columns if not column.on_paper],
        "is_cut": len(rows) > MAX_PRINTED,
        "limit": MAX_PRINTED,
        "back": _without_download(request),
    }
    response = TemplateResponse(request, "connectors/report/print.html", context)
    response["Cache-Control"] = "no-store"
    return response


def _printed(column: Column, place: int, rows: list[list[str]]) -> PrintedColumn:
    texts = {row[place] for row in rows}
    longest = max(map(len, texts), default=0)
    if len(texts) == 1 and len(rows) > 1:
        return PrintedColumn(place, column.title, "same", texts.pop())
    kinds = ((_SHORT, "short"), (_MIDDLE, "middle"), (_LONG, "long"))
    return PrintedColumn(place, column.title, next((kind for most, kind in kinds if longest <= most), "below"))


def _entry(row: list[str], columns: list[PrintedColumn]) -> PrintedEntry:
    cells = [(row[one.place], one.kind) for one in columns if one.kind not in ("same", "below")]
    below = [(one.title, row[one.place]) for one in columns if one.kind == "below" and row[one.place] != NOTHING]
    return PrintedEntry(cells, below)


def _without_download(request: HttpRequest) -> str:
    """The address of the page whose rows these are."""
    query = request.GET.copy()
    query.pop(PARAMETER, None)
    return f"{request.path}?{query.urlencode()}" if query else request.path


def _text(cell: Cell) -> str:
    if cell is None or cell == "":
        return NOTHING
    if isinstance(cell, bool):
        return "Yes" if cell else "No"
    if isinstance(cell, dt.datetime):
        return cell.astimezone(dt.UTC).strftime("%Y-%m-%d %H:%M")
    return LIST_SEPARATOR.join(cell) if isinstance(cell, tuple) else str(cell)


def _record(request: HttpRequest, table: Table, kind: str, count: int, target: Model | None) -> None:
    after = {"report": table.name, "format": kind, "rows": count, "chosen": table.about}
    record_event(actor_of(request), "report.downloaded", target or SavedView(name=table.title), after=after)


def _file_name(table: Table, kind: str, at: dt.datetime) -> str:
    return f"{table.name}-{at.astimezone(dt.UTC):%Y-%m-%d}.{kind}"
