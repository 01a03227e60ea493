"""Tables of the ledger as files: CSV, XLSX and JSON, written row by row."""

from connectors.core.reports.csv import write_csv
from connectors.core.reports.json import write_json
from connectors.core.reports.table import Cell, Column, Made, Row, Table
from connectors.core.reports.xlsx import write_xlsx

__all__ = ["Cell", "Column", "Made", "Row", "Table", "write_csv", "write_json", "write_xlsx"]
