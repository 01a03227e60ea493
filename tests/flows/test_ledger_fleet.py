"""The connector files of 27 real projects as a fleet: nothing differs falsely, and what is planted is found."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import cycle
from pathlib import Path

import pytest

from connectors.core.base44.emulator import Emulator
from connectors.core.base44.emulator.connecting import effective_scopes
from connectors.core.catalog import load_catalog
from connectors.core.config_files import locate_projects
from connectors.flows import ledger
from connectors.flows.declare import declare
from connectors.flows.import_files import apply_import
from connectors.flows.import_plan import plan_import
from connectors.flows.sync import sync_projects
from connectors.models import Connector, LedgerEntry, Project, Workspace
from tests.factories import SHELL, make_oauth_client, make_project, make_token, make_workspace

pytestmark = pytest.mark.django_db

FILES = Path(__file__).parents[1] / "core" / "data" / "projects"
PLANTED = 50
FOREIGN = "planted.scope"
"""A scope that no provider has."""


@dataclass
class Fleet:
    """The imported projects, and Base44 with all that they ask for connected."""

    base44: Emulator
    workspace: Workspace

    def sync(self) -> None:
        sync_projects(list(Project.objects.select_related("workspace")), SHELL)

    def found(self) -> dict[tuple[int, str], str]:
        """Whatever differs now: by connector and scope, the verdict."""
        rows = LedgerEntry.objects.differing().values_list("connector_id", "scope", "verdict")
        return {(connector, scope): verdict for connector, scope, verdict in rows}

    def registered(self, connector: Connector) -> list[str]:
        """What Base44 has."""
        app = self.base44.app(connector.project.app_id)
        return list(app.connections[connector.integration_type_id].scopes)

    def register(self, connector: Connector, scopes: list[str]) -> None:
        self.base44.register(connector.project.app_id, connector.integration_type_id, scopes)


@pytest.fixture
def fleet() -> Iterator[Fleet]:
    with Emulator() as base44:
        workspace = make_workspace("Fleet", api_url=base44.url, token=base44.pat, plan=Workspace.Plan.ENTERPRISE)
        for number, files in enumerate(locate_projects(FILES)):
            project = make_project(f"real-{number}", workspace=workspace, app_id=files.app_id or f"app-{number}")
            base44.add_app(project.app_id, project.name)
            apply_import(plan_import(project, files), SHELL)
        for connector in Connector.objects.select_related("project"):
            entry = base44.state.integrations.get(connector.integration_type_id)
            scopes = effective_scopes(entry, connector.scopes) if entry else connector.scopes
            base44.register(connector.project.app_id, connector.integration_type_id, scopes)
        grown = Fleet(base44, workspace)
        grown.sync()
        yield grown


def test_real_files_and_what_base44_makes_of_them_do_not_differ(fleet: Fleet) -> None:
    assert LedgerEntry.objects.count() > 150
    assert not LedgerEntry.objects.filter(registered=None).exists()
    assert {row.reason for row in LedgerEntry.objects.differing()} == set()
    assert LedgerEntry.objects.filter(verdict=LedgerEntry.Verdict.AUTO_ADDED).exists()


def test_tokens_that_spell_what_they_grant_in_their_own_way_do_not_differ(fleet: Fleet) -> None:
    for connector in Connector.objects.declared():
        make_token(connector, granted_scopes=_as_the_provider_says(connector.integration_type_id, connector.scopes))
    ledger.note(Connector.objects.values_list("pk", flat=True), SHELL, "token.authorised")
    assert {row.reason for row in LedgerEntry.objects.differing()} == set()


def test_every_planted_difference_is_found_with_its_reason_and_nothing_else(fleet: Fleet) -> None:
    wanted: dict[tuple[int, str], Expected] = {}
    rows = Connector.objects.declared().exclude(integration_type__in=["stripe"]).select_related("project__workspace")
    spare = [row for row in rows.order_by("pk") if row.scopes]
    kinds = cycle(KINDS)
    planted = 0
    while planted < PLANTED:
        kind, connector = next(kinds), spare[planted % len(spare)]
        if planted >= len(spare):  # more differences than connectors: the rest are foreign scopes beside the others
            kind = _foreign_beside(planted)
        wanted.update(kind(fleet, connector))
        planted += 1
    fleet.sync()
    found = fleet.found()
    assert found == {place: expected.verdict for place, expected in wanted.items()}
    for (connector_id, scope), expected in wanted.items():
        reason = LedgerEntry.objects.get(connector=connector_id, scope=scope).reason
        assert expected.says in reason, (scope, reason)


@dataclass(frozen=True)
class Expected:
    """What the ledger has to say of one planted difference."""

    verdict: str
    says: str


Found = dict[tuple[int, str], Expected]
Kind = Callable[[Fleet, Connector], Found]


def _canonical(connector: Connector, scope: str) -> str:
    return load_catalog().canonical(connector.integration_type_id, scope)


def _scope_goes_at_base44(fleet: Fleet, connector: Connector) -> Found:
    gone = connector.scopes[0]
    names = {_canonical(connector, gone)}
    fleet.register(connector, [s for s in fleet.registered(connector) if _canonical(connector, s) not in names])
    return {(connector.pk, name): Expected("missing", "but not registered at Base44") for name in names}


def _scope_appears_at_base44(fleet: Fleet, connector: Connector) -> Found:
    fleet.register(connector, [*fleet.registered(connector), FOREIGN])
    return {(connector.pk, FOREIGN): Expected("excess", "Registered at Base44, but not declared")}


def _portal_asks_for_more(fleet: Fleet, connector: Connector) -> Found:
    _declared_anew(connector, [*connector.scopes, FOREIGN])
    says = "but not in the repository's file and not registered at Base44"
    return {(connector.pk, FOREIGN): Expected("missing", says)}


def _only_the_file_lacks_it(fleet: Fleet, connector: Connector) -> Found:
    _declared_anew(connector, [*connector.scopes, FOREIGN])
    fleet.register(connector, [*fleet.registered(connector), FOREIGN])
    return {(connector.pk, FOREIGN): Expected("drift", "export the connector to bring the file up to date")}


def _connector_goes_at_base44(fleet: Fleet, connector: Connector) -> Found:
    fleet.base44.app(connector.project.app_id).connections.pop(connector.integration_type_id)
    known = {scope: load_catalog().scope(connector.integration_type_id, scope) for scope in connector.scopes}
    names = {_canonical(connector, scope) for scope, info in known.items() if not (info and info.never_reported)}
    return {(connector.pk, name): Expected("missing", "Apply the project's plan") for name in names}


def _token_lacks_a_scope(fleet: Fleet, connector: Connector) -> Found:
    gone = _canonical(connector, connector.scopes[0])
    granted = [scope for scope in connector.scopes if _canonical(connector, scope) != gone]
    _granted(connector, granted)
    return {(connector.pk, gone): Expected("missing", "but not granted")}


def _token_has_a_scope_more(fleet: Fleet, connector: Connector) -> Found:
    _granted(connector, [*connector.scopes, FOREIGN])
    return {(connector.pk, FOREIGN): Expected("excess", "Granted, but not declared")}


KINDS: list[Kind] = [
    _scope_goes_at_base44,
    _scope_appears_at_base44,
    _portal_asks_for_more,
    _only_the_file_lacks_it,
    _connector_goes_at_base44,
    _token_lacks_a_scope,
    _token_has_a_scope_more,
]


def _foreign_beside(number: int) -> Kind:
    def plant(fleet: Fleet, connector: Connector) -> Found:
        scope = f"{FOREIGN}.{number}"
        _declared_anew(connector, [*Connector.objects.get(pk=connector.pk).scopes, scope])
        return {(connector.pk, scope): Expected("missing", "will fail")}

    return plant


def _declared_anew(connector: Connector, scopes: list[str]) -> None:
    declare(connector.project, connector.integration_type_id, scopes, connector.connection_config, SHELL)


def _granted(connector: Connector, scopes: list[str]) -> None:
    make_token(connector, oauth_client=make_oauth_client(), granted_scopes=scopes)
    ledger.note([connector.pk], SHELL, "token.authorised")


def _as_the_provider_says(type_: str, scopes: list[str]) -> list[str] | None:
    """The declared scopes as a token answer lists them: main names, what is added, nothing that is never reported."""
    catalog = load_catalog()
    info = catalog.types.get(type_)
    if info is not None and info.oauth.granted_scopes_path is None:
        return None
    known = {catalog.canonical(type_, scope): catalog.scope(type_, scope) for scope in scopes}
    implied = {name for found in known.values() if found for name in found.implies}
    kept = [name for name, found in known.items() if name not in implied and not (found and found.never_reported)]
    return sorted([*kept, *(found.name for found in catalog.scopes_for(type_) if found.auto_added)])
