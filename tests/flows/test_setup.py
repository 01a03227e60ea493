"""Adding workspaces and projects."""

from __future__ import annotations

import pytest
from django.core.exceptions import ValidationError

from connectors.core.errors import Refused
from connectors.flows.setup import add_project, add_workspace
from connectors.models import Event, IntegrationType, Project, Workspace
from tests.factories import SHELL

pytestmark = pytest.mark.django_db
TOKEN = "a-token-of-a-test"


def test_a_new_workspace_stores_its_token_sealed() -> None:
    workspace = add_workspace("Acme", "https://base44.example/", TOKEN, SHELL)
    stored = Workspace.objects.get(name="Acme")
    assert (stored.api_url, stored.credential.reveal()) == ("https://base44.example", TOKEN)
    assert workspace.credential_state == Workspace.CredentialState.UNCHECKED


def test_no_event_holds_the_token() -> None:
    add_workspace("Acme", None, TOKEN, SHELL)
    written = list(Event.objects.values_list("before", "after", "note", "target_label"))
    assert len(written) > 1
    assert TOKEN not in str(written)


def test_the_first_workspace_fills_the_catalogue() -> None:
    add_workspace("Acme", None, None, SHELL)
    assert IntegrationType.objects.get(slug="slack").is_known


def test_adding_the_same_workspace_again_changes_nothing() -> None:
    first = add_workspace("Acme", "https://base44.example", TOKEN, SHELL)
    events = Event.objects.count()
    again = add_workspace("Acme", "https://base44.example", TOKEN, SHELL)
    assert (again.pk, again.credential_generation) == (first.pk, first.credential_generation)
    assert Event.objects.count() == events


def test_adding_a_workspace_again_with_another_token_replaces_it() -> None:
    add_workspace("Acme", None, TOKEN, SHELL)
    assert add_workspace("Acme", None, "another-token", SHELL).credential.reveal() == "another-token"


def test_adding_a_workspace_again_with_another_address_is_refused() -> None:
    add_workspace("Acme", "https://base44.example", None, SHELL)
    with pytest.raises(Refused, match=r"API URL https://base44\.example, not https://other\.example"):
        add_workspace("Acme", "https://other.example", None, SHELL)


def test_a_bad_token_leaves_no_workspace_behind() -> None:
    with pytest.raises(Refused, match="workspace key"):
        add_workspace("Acme", None, "b44k_x", SHELL)
    assert not Workspace.objects.exists()


def test_an_address_with_a_path_is_refused() -> None:
    with pytest.raises(ValidationError, match="scheme and host"):
        add_workspace("Acme", "https://base44.example/api", None, SHELL)


def test_a_project_is_named_after_its_slug_by_default(workspace: Workspace) -> None:
    project = add_project("crm", workspace, "app1", None, SHELL)
    assert (project.name, project.environment) == ("crm", "development")


def test_adding_the_same_project_again_is_fine(workspace: Workspace) -> None:
    first = add_project("crm", workspace, "app1", "production", SHELL)
    assert add_project("crm", workspace, "app1", None, SHELL) == first


def test_a_slug_that_stands_for_another_app_is_refused(workspace: Workspace) -> None:
    add_project("crm", workspace, "app1", None, SHELL)
    with pytest.raises(Refused, match="project crm already, with Base44 app id app1, not app2"):
        add_project("crm", workspace, "app2", None, SHELL)


def test_an_app_that_another_project_has_is_refused(workspace: Workspace) -> None:
    add_project("crm", workspace, "app1", None, SHELL)
    with pytest.raises(Refused, match="app1 belongs to the project crm already"):
        add_project("shop", workspace, "app1", None, SHELL)


@pytest.mark.parametrize(
    ("slug", "app_id", "environment"), [("a b", "app", None), ("crm", "a/b", None), ("crm", "a", "qa")]
)
def test_values_that_do_not_fit_are_refused(
    workspace: Workspace, slug: str, app_id: str, environment: str | None
) -> None:
    with pytest.raises(ValidationError):
        add_project(slug, workspace, app_id, environment, SHELL)
    assert not Project.objects.exists()
