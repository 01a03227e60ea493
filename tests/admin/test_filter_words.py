"""What a list was narrowed to, in words."""

from __future__ import annotations

import pytest
from django.contrib import admin
from django.contrib.auth.models import User
from django.test import RequestFactory

from connectors.admin.filter_words import filters_in_words
from connectors.models import LedgerEntry, Project


def words(user: User, query: str) -> str:
    """Of the ledger's list with this query."""
    request = RequestFactory().get(f"/?{query}")
    request.user = user
    changes = admin.site._registry[LedgerEntry].get_changelist_instance(request)
    return filters_in_words(changes, user)


def test_a_list_without_filters_has_no_words(operator: User) -> None:
    assert words(operator, "") == ""


@pytest.mark.parametrize(
    ("query", "said"),
    [
        ("verdict=missing", "Verdict: Missing"),
        ("environment__exact=production", "Environment: Production"),
        ("verdict=differs&q=send+mail", "Verdict: Differs: missing, excess or drift; Search: send mail"),
        ("verdict=weather", "Verdict: weather"),
    ],
)
def test_each_filter_is_named_with_what_was_chosen(query: str, said: str, operator: User) -> None:
    assert words(operator, query) == said


def test_a_project_is_named_and_not_numbered(operator: User, project: Project) -> None:
    assert words(operator, f"project__id__exact={project.pk}") == "Project: Crm"


def test_what_somebody_may_not_know_of_is_not_named(stranger: User, project: Project) -> None:
    assert words(stranger, f"project__id__exact={project.pk}") == f"Project: {project.pk}"
