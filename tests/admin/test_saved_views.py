"""Views of the ledger under a name: what is kept, who sees it, and who may remove it."""

from __future__ import annotations

from typing import Any

import pytest
from django.contrib.auth.models import Permission, User
from django.test import Client

from connectors.flows.saved_views import MAX_VIEWS, filters_in
from connectors.models import Event, SavedView
from tests.factories import make_user

pytestmark = pytest.mark.django_db

PATH = "/admin/connectors/ledgerentry/"
SAVE = f"{PATH}views/save/"


def allowed(name: str, *codenames: str) -> User:
    user = make_user(name, staff=True)
    user.user_permissions.set(Permission.objects.filter(codename__in=["view_ledgerentry", *codenames]))
    return user


def as_user(user: User) -> Client:
    client = Client()
    client.force_login(user)
    return client


def names(client: Client) -> list[str]:
    return [view.title for view in client.get(PATH).context["views"]]


def save(client: Client, name: str, **values: Any) -> Any:
    return client.post(SAVE, {"page": "list", "query": "verdict=differs", "name": name, **values})


def remove(client: Client, view: SavedView) -> int:
    return client.post(f"{PATH}views/{view.pk}/remove/").status_code


def test_a_view_keeps_the_filters_and_leads_back_to_them(browser: Client, operator: User) -> None:
    answer = save(browser, "  To   do ", query="verdict=differs&p=3&download=csv&q=&sensitivity=high")
    assert answer.headers["Location"] == f"{PATH}?sensitivity=high&verdict=differs"
    view = SavedView.objects.get()
    assert (view.name, view.query, view.owner, view.is_shared) == (
        "To do",
        "sensitivity=high&verdict=differs",
        operator,
        False,
    )
    (shown,) = browser.get(answer.headers["Location"]).context["views"]
    assert (shown.href, shown.is_here) == (answer.headers["Location"], True)
    event = Event.objects.get(verb="savedview.saved")
    assert event.after["query"] == view.query


def test_a_view_of_a_group_leads_to_that_page(browser: Client) -> None:
    save(browser, "Mail", page="scopes", query="q=send mail")
    (shown,) = browser.get(PATH).context["views"]
    assert shown.href == f"{PATH}by/scopes/?q=send+mail"


def test_the_same_name_again_gets_the_new_filters(browser: Client) -> None:
    save(browser, "Mine")
    save(browser, "Mine", query="verdict=excess")
    assert SavedView.objects.get().query == "verdict=excess"


def test_the_same_choice_is_the_same_text_however_the_address_is_written() -> None:
    assert filters_in("b=2&a=1&a=0") == filters_in("a=0&a=1&b=2&p=7&e=1&empty=") == "a=0&a=1&b=2"


@pytest.mark.parametrize(
    "values",
    [{"name": " "}, {"name": "x" * 61}, {"page": "elsewhere"}, {"query": f"q={'x' * 2000}"}],
    ids=["no-name", "long-name", "no-page", "long-query"],
)
def test_what_cannot_be_kept_is_refused_in_words(values: dict[str, str], browser: Client) -> None:
    answer = browser.post(SAVE, {"page": "list", "query": "", "name": "Name", **values}, follow=True)
    assert not SavedView.objects.exists()
    assert [message.level_tag for message in answer.context["messages"]] == ["error"]


def test_a_view_never_leads_to_another_site(browser: Client) -> None:
    answer = save(browser, "Away", page="list", query="//evil.example/?a=1")
    assert answer.headers["Location"].startswith(PATH)


def test_a_person_has_only_so_many_views(browser: Client, operator: User) -> None:
    SavedView.objects.bulk_create(SavedView(name=f"View {n}", owner=operator) for n in range(MAX_VIEWS))
    save(browser, "One more")
    save(browser, "View 1", query="verdict=excess")
    assert SavedView.objects.count() == MAX_VIEWS
    assert SavedView.objects.get(name="View 1").query == "verdict=excess"


def test_colleagues_see_what_is_shared_and_nothing_else(browser: Client) -> None:
    save(browser, "Mine")
    save(browser, "Ours", shared="yes")
    assert names(browser) == ["Mine", "Ours"]
    assert names(as_user(allowed("colleague"))) == ["Ours"]


def test_sharing_needs_its_permission() -> None:
    client = as_user(allowed("saver", "add_savedview"))
    assert b'name="shared"' not in client.get(PATH).content
    save(client, "Mine", shared="yes")
    assert not SavedView.objects.get().is_shared


def test_saving_and_removing_need_their_permissions(operator: User) -> None:
    looker = allowed("looker")
    view = SavedView.objects.create(name="Old", owner=looker)
    assert save(as_user(looker), "New").status_code == 403
    assert remove(as_user(looker), view) == 403
    assert list(SavedView.objects.values_list("name", flat=True)) == ["Old"]
    assert not Event.objects.filter(verb__startswith="savedview").exists()


def test_one_removes_ones_own_views_and_it_is_recorded() -> None:
    user = allowed("remover", "delete_savedview")
    view = SavedView.objects.create(name="Old", owner=user)
    assert remove(as_user(user), view) == 302
    assert not SavedView.objects.exists()
    assert Event.objects.get().verb == "savedview.removed"


def test_a_colleagues_shared_view_is_removed_by_whoever_may_share(operator: User) -> None:
    shared = SavedView.objects.create(name="Ours", owner=operator, is_shared=True)
    own = SavedView.objects.create(name="Mine", owner=operator)
    assert remove(as_user(allowed("remover", "delete_savedview")), shared) == 403
    sharer = as_user(allowed("sharer", "delete_savedview", "change_savedview"))
    assert remove(sharer, own) == 404
    assert remove(sharer, shared) == 302
    assert SavedView.objects.get() == own


def test_views_change_by_a_post_alone(browser: Client, operator: User) -> None:
    view = SavedView.objects.create(name="Mine", owner=operator)
    assert browser.get(SAVE).status_code == 405
    assert browser.get(f"{PATH}views/{view.pk}/remove/").status_code == 405


def test_without_the_ledgers_permission_nothing_is_saved() -> None:
    user = make_user("other", staff=True)
    user.user_permissions.set(Permission.objects.filter(codename="add_savedview"))
    assert save(as_user(user), "Mine").status_code == 403


def test_a_name_is_escaped(browser: Client) -> None:
    save(browser, "<i>name</i>")
    assert b"<i>name" not in browser.get(PATH).content
