"""Lock files: what the portal knows of projects' connectors that their files cannot say."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from connectors.core.lock_file import LockedConnector, LockFile, account_fingerprint
from connectors.core.scopes import ScopeRules
from connectors.flows.compare import rules_of
from connectors.flows.ledger import sides_of
from connectors.models import Connector, Project, Token


def locks_of(projects: Iterable[Project]) -> dict[int, LockFile]:
    """What the lock file of each project has to say, by its id: two queries however many there are.

    From what was last learnt of Base44 and of the tokens; nobody is asked.
    """
    found: dict[int, dict[str, LockedConnector]] = {project.pk: {} for project in projects}
    rows = Connector.objects.filter(project__in=list(found)).select_related("project__workspace")
    tokens = _tokens(found)
    rules: dict[int, ScopeRules] = {}
    for row in rows.order_by().defer("source", "project__notes", "last_set_scopes"):
        workspace, token = row.project.workspace, tokens.get(row.pk)
        if workspace.pk not in rules:
            rules[workspace.pk] = rules_of(workspace)
        if row.is_declared or row.registered_scopes is not None or token is not None:
            found[row.project_id][row.integration_type_id] = _locked(row, token, rules[workspace.pk])
    return dict(found)


def _tokens(projects: Iterable[int]) -> Mapping[int, Token]:
    """The tokens that still open something, by connector."""
    rows = Token.objects.exclude(state=Token.State.REVOKED).filter(connector__project__in=list(projects))
    columns = ("connector_id", "state", "granted_scopes", "account", "authorised_by_label")
    return {row.connector_id: row for row in rows.order_by().only(*columns)}


def _locked(row: Connector, token: Token | None, rules: ScopeRules) -> LockedConnector:
    """One connector, with scopes in the provider's main spelling and the account that the ledger shows."""
    sides, account = sides_of(row, token), token.account if token and token.account else row.registered_account

    def known(scopes: tuple[str, ...] | None) -> tuple[str, ...] | None:
        return None if scopes is None else tuple(rules.normalise(row.integration_type_id, scopes))

    return LockedConnector(
        at_base44=None if row.registered_at is None else row.registered_scopes is not None,
        registered=known(sides.registered),
        granted=known(sides.granted),
        account=account_fingerprint(row.project.app_id, account),
        connection_config=row.connection_config,
    )
