"""The domains of accounts that a workspace allows: how they are typed, stored and recorded."""

from __future__ import annotations

import re

import pytest
from django.core.exceptions import ValidationError
from django.test import Client
from hypothesis import given
from hypothesis import strategies as st

from connectors.admin.widgets import DomainsField
from connectors.models import Workspace
from tests.admin.form_data import address, errors, last_event, save, shown
from tests.factories import make_workspace


@pytest.fixture
def stored(db: None) -> Workspace:
    return make_workspace("Acme", api_url="https://app.base44.com")


@pytest.mark.parametrize(
    ("typed", "expected"),
    [
        ("", []),
        ("acme.com", ["acme.com"]),
        ("@Acme.COM, sub.acme.com\r\nacme.com.\n\n", ["acme.com", "sub.acme.com"]),
        ("xn--bcher-kva.example; acme.com", ["xn--bcher-kva.example", "acme.com"]),
    ],
)
def test_domains_are_taken_as_people_write_them(typed: str, expected: list[str]) -> None:
    assert DomainsField().clean(typed) == expected


@pytest.mark.parametrize("typed", ["acme", "ann@acme.com", "https://acme.com", "*.acme.com", "acme.com/x", "a..com"])
def test_what_is_no_domain_is_named(typed: str) -> None:
    with pytest.raises(ValidationError, match=re.escape(f"“{typed}” is no domain")):
        DomainsField().clean(f"fine.example\n{typed}")


@given(st.text())
def test_any_text_is_taken_as_domains_or_refused(typed: str) -> None:
    try:
        found = DomainsField().clean(typed)
    except ValidationError:
        return
    assert DomainsField().clean(DomainsField().prepare_value(found)) == found


def test_allowed_domains_are_stored_and_recorded(browser: Client, stored: Workspace) -> None:
    save(browser, "workspace", stored.pk, allowed_account_domains="@Acme.com, acme.example")
    stored.refresh_from_db()
    assert stored.allowed_account_domains == ["acme.com", "acme.example"]
    event = last_event()
    assert (event.verb, event.before) == ("workspace.changed", {"allowed_account_domains": []})
    assert event.after == {"allowed_account_domains": ["acme.com", "acme.example"]}


def test_allowed_domains_come_back_one_per_line(browser: Client, stored: Workspace) -> None:
    Workspace.objects.update(allowed_account_domains=["a.example", "b.example"])
    assert shown(browser, address("workspace", "change", stored.pk))["allowed_account_domains"] == (
        "a.example\nb.example"
    )


def test_a_workspace_is_added_with_its_domains(browser: Client) -> None:
    save(browser, "workspace", name="Acme", allowed_account_domains="acme.com")
    assert Workspace.objects.get().allowed_account_domains == ["acme.com"]


def test_what_is_no_domain_is_refused_in_words(browser: Client, stored: Workspace) -> None:
    answer = save(browser, "workspace", stored.pk, allowed_account_domains="acme")
    assert "“acme” is no domain" in errors(answer)["allowed_account_domains"][0]


def test_domains_changed_by_somebody_else_meanwhile_are_not_undone(browser: Client, stored: Workspace) -> None:
    path = address("workspace", "change", stored.pk)
    posted = shown(browser, path)
    Workspace.objects.update(allowed_account_domains=["acme.com"])
    answer = browser.post(path, {**posted, "name": "Mine"}, follow=True)
    assert "Somebody has changed this workspace" in str(errors(answer))
