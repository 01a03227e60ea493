"""The sidebar."""

from __future__ import annotations

import pytest
from django.contrib.auth.models import Permission, User
from django.core.cache import cache
from django.http import HttpRequest
from django.test import RequestFactory

from connectors.models import Connector
from portal.navigation import SECTIONS, attention_badge, consent_badge, navigation
from tests import factories


@pytest.fixture(autouse=True)
def _empty_cache() -> None:
    cache.clear()


def request_of(user: User, path: str = "/admin/") -> HttpRequest:
    request = RequestFactory().get(path)
    request.user = user
    return request


def titles(user: User) -> list[str]:
    return [item["title"] for group in navigation(request_of(user)) for item in group["items"]]


def test_a_superuser_sees_every_page(operator: User) -> None:
    assert titles(operator) == ["Dashboard", *(page.title for pages in SECTIONS.values() for page in pages)]


def test_pages_without_permission_and_sections_without_pages_are_left_out(viewer: User) -> None:
    viewer.user_permissions.set(Permission.objects.filter(codename="view_project"))
    groups = navigation(request_of(User.objects.get(pk=viewer.pk)))
    assert [group["title"] for group in groups] == ["Overview", "Connections"]


def test_the_page_of_a_row_belongs_to_its_list(operator: User) -> None:
    groups = navigation(request_of(operator, "/admin/connectors/connector/5/change/"))
    active = [item["title"] for group in groups for item in group["items"] if item.get("active")]
    assert active == ["Connectors"]


def test_a_page_below_the_address_of_a_list_is_a_line_of_its_own(operator: User) -> None:
    groups = navigation(request_of(operator, "/admin/connectors/connector/desk/"))
    active = [item["title"] for group in groups for item in group["items"] if item.get("active")]
    assert active == ["Consent desk"]


def test_the_desks_badge_counts_what_waits_for_consent(operator: User, stranger: User) -> None:
    factories.make_connector(factories.make_project(), "gmail", consent="needed")
    assert consent_badge(request_of(operator)) == "1"
    assert consent_badge(request_of(stranger)) == ""


def test_the_badge_counts_connectors_that_need_somebody(operator: User) -> None:
    project = factories.make_project()
    factories.make_connector(project, "gmail", needs_attention=True)
    factories.make_connector(project, "slack")
    assert attention_badge(request_of(operator)) == "1"


def test_no_badge_when_nothing_waits(operator: User) -> None:
    assert attention_badge(request_of(operator)) == ""


def test_the_badge_stops_counting_at_a_hundred(operator: User) -> None:
    factories.make_fleet(11, 10)
    Connector.objects.update(needs_attention=True)
    assert attention_badge(request_of(operator)) == "99+"


def test_the_badge_counts_only_what_the_person_may_see(stranger: User) -> None:
    factories.make_connector(factories.make_project(), "gmail", needs_attention=True)
    assert attention_badge(request_of(stranger)) == ""
