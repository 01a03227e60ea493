"""Downloads: any table in any format, and a record of who took it."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable, Iterable
from dataclasses import replace

import pytest
from django.contrib.auth.models import User
from django.http import FileResponse, HttpRequest, HttpResponse
from django.template import engines
from django.template.response import TemplateResponse
from django.test import Client, RequestFactory
from django.urls import reverse

from connectors.admin.pages import download
from connectors.core.reports import Column, Row, Table
from connectors.models import Event, Project
from tests.factories import keep_ledger, make_connector

Ask = Callable[[str], HttpRequest]
COLUMNS = (Column("scope", "Scope", "As the provider spells it."), Column("declared", "Declared"))


def table(rows: Iterable[Row] = (("mail.read", True), ("mail.send", None))) -> Table:
    return Table("ledger", "Scope ledger", COLUMNS, rows, about="Verdict: Missing")


@pytest.fixture
def ask(operator: User) -> Ask:
    """The operator's request for a page with this query."""

    def request(query: str) -> HttpRequest:
        asked = RequestFactory().get(f"/somewhere/?{query}")
        asked.user = operator
        return asked

    return request


def content(response: HttpResponse) -> bytes:
    """All of it. The file is closed as a web server does it, which would end the test's transaction as well."""
    found = response.getvalue()
    if isinstance(response, FileResponse):
        response.file_to_stream.close()
    return found


def page(request: HttpRequest, shown: Table) -> str:
    response = download.answer(request, shown, "print")
    assert isinstance(response, TemplateResponse)
    return response.render().text


@pytest.mark.parametrize(
    ("query", "kind"),
    [("", ""), ("download=csv", "csv"), ("download=print", "print"), ("download=exe", ""), ("download=", "")],
)
def test_only_known_formats_are_asked_for(query: str, kind: str, ask: Ask) -> None:
    assert download.asked_for(ask(query)) == kind


def test_a_csv_is_saved_under_the_reports_name_and_day(ask: Ask) -> None:
    response = download.answer(ask("download=csv"), table(), "csv")
    assert list(csv.reader(io.StringIO(content(response).decode("utf-8-sig")))) == [
        ["scope", "declared"],
        ["mail.read", "true"],
        ["mail.send", ""],
    ]
    assert response["Content-Disposition"].startswith('attachment; filename="ledger-20')
    assert response["Cache-Control"] == "no-store"


def test_a_json_download_says_who_made_it(ask: Ask) -> None:
    document = json.loads(content(download.answer(ask("download=json"), table(), "json")))
    assert (document["generated_by"], document["about"], len(document["rows"])) == ("operator", "Verdict: Missing", 2)


@pytest.mark.parametrize("kind", ["csv", "xlsx", "json", "print"])
def test_each_download_goes_on_record(kind: str, ask: Ask) -> None:
    shown = download.answer(ask(""), table(), kind)
    assert content(shown.render() if isinstance(shown, TemplateResponse) else shown)
    event = Event.objects.get(verb="report.downloaded")
    assert (event.actor_label, event.target_label) == ("operator", "Scope ledger")
    assert event.after == {"report": "ledger", "format": kind, "rows": 2, "chosen": "Verdict: Missing"}


def test_a_report_about_one_row_is_on_that_rows_record(ask: Ask, project: Project) -> None:
    content(download.answer(ask(""), table(), "csv", target=project))
    assert Event.objects.get(verb="report.downloaded").project == project


def test_a_report_that_breaks_off_is_neither_sent_nor_recorded(ask: Ask) -> None:
    def rows() -> Iterable[Row]:
        yield "mail.read", True
        raise OSError("the database went away")

    with pytest.raises(OSError, match="went away"):
        download.answer(ask(""), table(rows()), "csv")
    assert not Event.objects.filter(verb__startswith="report.").exists()


def test_the_printable_page_says_what_was_chosen_by_whom(ask: Ask) -> None:
    shown = page(ask("verdict=missing&download=print"), table())
    assert "Verdict: Missing" in shown
    assert "operator" in shown
    assert 'href="/somewhere/?verdict=missing"' in shown


def test_the_printable_page_ends_where_it_would_be_too_long_and_says_so(ask: Ask) -> None:
    rows = [(f"scope-{number}", True) for number in range(download.MAX_PRINTED + 1)]
    shown = page(ask(""), table(rows))
    assert shown.count("<tbody>") == download.MAX_PRINTED
    assert "This page ends after the first 5,000 rows" in shown


def test_what_every_printed_row_says_is_said_once(ask: Ask) -> None:
    shown = page(ask(""), table([("mail.read", True), ("mail.send", True)]))
    assert "The same in every row" in shown
    assert shown.count("Yes") == 1


def test_sentences_are_printed_below_their_row_across_all_columns(ask: Ask) -> None:
    shown = page(ask(""), table([("mail.read", "Because. " * 20), ("mail.send", "Why not?")]))
    assert shown.count("<b>Declared:</b> ") == 2
    assert '<th scope="col">Declared</th>' not in shown


def test_what_follows_from_other_columns_is_left_out_on_paper_and_named(ask: Ask) -> None:
    columns = (COLUMNS[0], replace(COLUMNS[1], on_paper=False))
    shown = page(ask(""), replace(table(), columns=columns))
    assert "Left out on paper: Declared;" in shown
    assert "Yes" not in shown


def test_a_printable_page_with_all_rows_says_nothing_of_an_end(ask: Ask) -> None:
    assert "This page ends" not in page(ask(""), table())


def test_cells_are_no_markup(ask: Ask) -> None:
    assert "<script>" not in page(ask(""), table([("<script>", None)]))


def test_the_menu_keeps_the_pages_filters_and_drops_its_page_number(ask: Ask) -> None:
    menu = engines["django"].get_template("connectors/pages/downloads.html").render({}, ask("verdict=missing&p=3"))
    assert "?verdict=missing&amp;download=csv" in menu
    assert "p=3" not in menu


def test_the_ledger_is_downloaded_with_the_filters_of_its_list(browser: Client, project: Project) -> None:
    keep_ledger(make_connector(project, "slack", ["chat:write"], registered=[]))
    keep_ledger(make_connector(project, "gmail", ["mail.read"], registered=["mail.read"]))
    answer = browser.get(reverse("admin:connectors_ledgerentry_changelist"), {"verdict": "missing", "download": "json"})
    document = json.loads(answer.getvalue())
    assert [row["scope"] for row in document["rows"]] == ["chat:write"]
    assert document["about"]


def test_whoever_may_not_see_the_ledger_cannot_download_it(viewer: User) -> None:
    client = Client()
    client.force_login(viewer)
    address = reverse("admin:connectors_ledgerentry_changelist")
    assert client.get(address, {"download": "csv"}).status_code == 403
    assert not Event.objects.filter(verb__startswith="report.").exists()
