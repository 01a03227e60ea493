"""JSON: one document, whose rows are objects with the columns' keys."""

from __future__ import annotations

import json
from typing import IO, Any

from connectors.core.reports.table import Cell, Made, Table, utc_text


def write_json(table: Table, file: IO[bytes], made: Made) -> int:
    """Writes `{"report", "title", "about", "generated_at", "columns", "rows"}`; returns how many rows there were.

    Texts are exactly as they are stored: nothing is defused, for programs read this.
    """
    head: dict[str, Any] = {
        "report": table.name,
        "title": table.title,
        "about": table.about,
        "generated_at": utc_text(made.at),
        "generated_by": made.by,
        "columns": [{"key": column.key, "title": column.title, "about": column.about} for column in table.columns],
    }
    keys, count = [column.key for column in table.columns], 0
    file.write(f'{json.dumps(head, indent=2)[:-2]},\n  "rows": ['.encode())
    for row in table.rows:
        line = json.dumps(dict(zip(keys, map(value_of, row), strict=True)))
        file.write(f"{',' if count else ''}\n    {line}".encode())
        count += 1
    file.write(b"\n  ]\n}\n" if count else b"]\n}\n")
    return count


def value_of(cell: Cell) -> Any:
    """The cell as JSON has it: lists as lists, times as texts."""
    if cell is None or isinstance(cell, str | int):
        return cell
    return list(cell) if isinstance(cell, tuple) else utc_text(cell)
