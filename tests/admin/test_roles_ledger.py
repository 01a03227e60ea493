"""The ledger, its history and the catalogue for people with roles at some places."""

from __future__ import annotations

import json
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.urls import reverse

from connectors.models import CatalogueScope, Connector, Membership, Project, SavedView
from tests.factories import make_membership, make_project, make_token, make_type, make_user, make_workspace
from tests.flows.reviewing import SEND, in_ledger
from tests.teams import browser_of

LEDGER = "admin:connectors_ledgerentry_"


def get(user: User, page: str, *args: object, **query: str) -> Any:
    return browser_of(user).get(reverse(f"admin:connectors_{page}", args=args), query)


@pytest.fixture
def ours(db: None) -> Project:
    return in_ledger(make_project("ours", workspace=make_workspace("Our workspace"))).project


@pytest.fixture
def theirs(db: None) -> Project:
    project = make_project("zebra", workspace=make_workspace("Zebra workspace"))
    token = make_token(in_ledger(project).project.connectors.get(), authorised_by_label="zoe", account="zebra@acme.com")
    token.connector.ledger.update(account="zebra@acme.com", person="zoe")
    return project


@pytest.fixture
def ada(db: None) -> User:
    return make_user("ada", staff=True)


@pytest.fixture
def auditor(ada: User, ours: Project, theirs: Project) -> User:
    """Audits their own project, and may look at the other team's without its ledger."""
    make_membership(ada, "auditor", project=ours)
    make_membership(ada, "viewer", project=theirs)
    return ada


@pytest.mark.parametrize("page", ["changelist", "scopes", "accounts", "people", "history", "changes", "person"])
def test_the_ledgers_pages_tell_nothing_of_others(page: str, auditor: User) -> None:
    answer = get(auditor, f"ledgerentry_{page}")
    assert answer.status_code == 200
    assert b"ebra" not in answer.content
    assert b"zoe" not in answer.content


def test_groups_count_only_what_one_may_see(auditor: User) -> None:
    (line,) = [line for line in get(auditor, "ledgerentry_scopes").context["lines"] if line.group.name == SEND]
    assert (line.group.connectors, line.group.projects) == (1, 1)


@pytest.mark.parametrize("page", ["changelist", "scopes", "history", "changes"])
def test_a_download_holds_only_what_one_may_see(page: str, auditor: User) -> None:
    now = {"at": "2099-01-01"} if page == "history" else {}
    found = json.loads(get(auditor, f"ledgerentry_{page}", download="json", **now).getvalue())
    assert "ebra" not in json.dumps(found)
    assert found["rows"]


@pytest.mark.parametrize("filters", [{"project__id__exact": ""}, {"account": "zebra@acme.com"}, {"person": "zoe"}])
def test_filtering_for_what_is_others_finds_nothing(filters: dict[str, str], auditor: User, theirs: Project) -> None:
    chosen = {name: value or str(theirs.pk) for name, value in filters.items()}
    assert list(get(auditor, "ledgerentry_changelist", **chosen).context["cl"].result_list) == []


def test_a_viewer_has_no_ledger_of_the_fleet(ada: User, ours: Project) -> None:
    make_membership(ada, "viewer", project=ours)
    for page in ("changelist", "scopes", "history", "person"):
        assert get(ada, f"ledgerentry_{page}").status_code == 403


@pytest.mark.parametrize("kind", ["connector", "project"])
def test_a_ledger_is_downloaded_only_where_one_audits(kind: str, auditor: User, ours: Project, theirs: Project) -> None:
    def asked(project: Project, **query: str) -> Any:
        row = project if kind == "project" else Connector.objects.get(project=project)
        return get(auditor, f"{kind}_ledger", row.pk, **query)

    assert asked(ours, download="csv").getvalue().count(SEND.encode()) == 1
    assert asked(theirs).status_code == 200
    assert asked(theirs, download="csv").status_code == 403


def test_what_was_deleted_is_shown_only_with_a_role_everywhere(ada: User, ours: Project, theirs: Project) -> None:
    make_membership(ada, "owner", workspace=ours.workspace)
    theirs.connectors.all().delete()
    theirs.delete()
    assert b"Zebra" not in get(ada, "ledgerentry_changes").content
    make_membership(ada, "auditor")
    assert b"Zebra" in get(ada, "ledgerentry_changes").content


# --- Somebody leaves ------------------------------------------------------------------------------------------------


def test_the_page_of_somebody_who_leaves_offers_only_what_one_may_do_there(
    ada: User, ours: Project, theirs: Project
) -> None:
    make_membership(ada, "editor", project=ours)
    make_membership(ada, "auditor", project=theirs)
    make_token(ours.connectors.get(), authorised_by_label="zoe")
    lines = get(ada, "ledgerentry_person", name="zoe").context["lines"]
    offered = {line.reach.connector.project: (line.may_hand, line.may_revoke) for line in lines}
    assert offered == {ours: (True, True), theirs: (False, False)}


# --- Saved views ----------------------------------------------------------------------------------------------------


def shown(user: User) -> list[str]:
    return [view.title for view in get(user, "ledgerentry_changelist").context["views"]]


def named_person() -> User:
    user = make_user("quagga", staff=True)
    user.first_name, user.email = "Zebedee", "quagga@acme.com"
    user.save()
    return user


@pytest.mark.parametrize("asked", [{"q": "quagga"}, {"name": "quagga"}, {"name": "quagga@acme.com"}])
def test_somebody_of_another_team_is_a_name_like_any_other(
    auditor: User, theirs: Project, asked: dict[str, str]
) -> None:
    stranger = named_person()
    make_membership(stranger, "owner", workspace=theirs.workspace)
    Membership.objects.filter(user=auditor, project=theirs).delete()
    told = get(auditor, "ledgerentry_person", **asked).content.decode()
    assert "Zebedee" not in told
    assert "have a login here" not in told
    assert "name=quagga" not in told if "q" in asked else "They have no login here" in told


def test_a_colleague_is_known_by_name_and_address(auditor: User, ours: Project) -> None:
    colleague = named_person()
    make_membership(colleague, "owner", workspace=ours.workspace)
    assert "Zebedee" in get(auditor, "ledgerentry_person", name="quagga@acme.com").content.decode()
    assert ("quagga", 0) in get(auditor, "ledgerentry_person", q="zebed").context["found"]


@pytest.mark.parametrize("query", ["project__id__exact={pk}", "account=zebra@acme.com", "person=zoe", "q=zebra"])
def test_a_shared_view_of_what_is_others_is_not_there(query: str, auditor: User, theirs: Project) -> None:
    owner = make_user("olga", staff=True)
    row = SavedView.objects.create(name="Zebra", query=query.format(pk=theirs.pk), owner=owner, is_shared=True)
    SavedView.objects.create(name="Differing", query="verdict=differs", owner=owner, is_shared=True)
    assert shown(auditor) == ["Differing"]
    assert browser_of(auditor).post(reverse(f"{LEDGER}remove_view", args=[row.pk])).status_code == 404


def test_a_shared_view_of_ones_own_project_is_there(auditor: User, ours: Project) -> None:
    owner = make_user("olga", staff=True)
    SavedView.objects.create(name="Ours", query=f"project__id__exact={ours.pk}", owner=owner, is_shared=True)
    assert shown(auditor) == ["Ours"]


def test_a_view_is_shared_with_everybody_only_with_a_role_everywhere(auditor: User) -> None:
    posted = {"page": "list", "query": "verdict=differs", "name": "Mine", "shared": "yes"}
    browser_of(auditor).post(reverse(f"{LEDGER}save_view"), posted)
    assert not SavedView.objects.get().is_shared
    make_membership(auditor, "auditor")
    browser_of(auditor).post(reverse(f"{LEDGER}save_view"), posted)
    assert SavedView.objects.get().is_shared


# --- The catalogue --------------------------------------------------------------------------------------------------


def test_a_type_counts_the_connectors_that_one_may_see(ada: User, ours: Project, theirs: Project) -> None:
    make_membership(ada, "viewer", project=ours)
    rows = {row.pk: row.use_count for row in get(ada, "integrationtype_changelist").context["cl"].result_list}
    assert rows["gmail"] == 1


def test_the_catalogue_is_changed_by_nobody_with_a_role_at_one_place(ada: User, ours: Project) -> None:
    make_membership(ada, "owner", workspace=ours.workspace)
    scope = CatalogueScope.objects.create(provider="google", name="made-up", is_shipped=False)
    kind, browser = make_type("zoo"), browser_of(ada)
    for name, row in (
        ("cataloguescope_change", scope),
        ("cataloguescope_delete", scope),
        ("integrationtype_change", kind),
    ):
        path = reverse(f"admin:connectors_{name}", args=[row.pk])
        assert browser.post(path, {"post": "yes", "team_note": "x"}).status_code == 403
    assert browser.post(reverse("admin:connectors_cataloguescope_shipped", args=[scope.pk])).status_code == 403
    assert browser.get(reverse("admin:connectors_cataloguescope_add")).status_code == 403
    assert browser.post(reverse("admin:connectors_integrationtype_offered"), {"action": "load"}).status_code == 403
