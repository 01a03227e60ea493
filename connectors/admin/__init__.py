"""Pages, buttons and permissions; the rules are in `connectors.flows`.

Django registers the admins by importing this package.
"""

from connectors.admin import (
    alert,
    approval,
    catalogue_scope,
    connector,
    consent_link,
    event,
    integration_type,
    invitation,
    ledger,
    membership,
    oauth_client,
    policy,
    project,
    repository,
    review,
    sign_in_provider,
    sync_run,
    token,
    trail_stream,
    users,
    workspace,
)

__all__ = [
    "alert",
    "approval",
    "catalogue_scope",
    "connector",
    "consent_link",
    "event",
    "integration_type",
    "invitation",
    "ledger",
    "membership",
    "oauth_client",
    "policy",
    "project",
    "repository",
    "review",
    "sign_in_provider",
    "sync_run",
    "token",
    "trail_stream",
    "users",
    "workspace",
]
