"""Pages of the admin that are no form and no list: plan, run, consent, pull, import, export, discover, sign-in.

Each module has `urls(model_admin)`, for the admin of the model that its first path segment belongs to.
`urls_for(model_admin)` gathers those of one model.
"""

from __future__ import annotations

from typing import Any

from django.contrib.admin import ModelAdmin
from django.urls import URLPattern

from connectors.admin.pages import (
    alert_route,
    approval,
    consent,
    consents,
    desk,
    device_login,
    discover,
    event_export,
    export_files,
    forecast,
    history_changes,
    history_state,
    import_files,
    import_many,
    ledger_connector,
    ledger_groups,
    ledger_project,
    oauth_client,
    oauth_support,
    offered,
    operations,
    people_access,
    person,
    person_sessions,
    plan,
    plan_many,
    policy_exception,
    policy_rule,
    project_access,
    pull,
    repository_check,
    repository_export,
    repository_import,
    repository_run,
    repository_setup,
    review,
    review_decide,
    revoke,
    run,
    saved_views,
    scope_facts,
    timeline,
    token,
    trail_stream,
)

_MODULES = {
    "alertroute": (alert_route,),
    "approval": (approval,),
    "cataloguescope": (scope_facts,),
    "membership": (people_access,),
    "project": (
        plan,
        plan_many,
        pull,
        import_files,
        import_many,
        export_files,
        consents,
        ledger_project,
        project_access,
    ),
    "connector": (consent, desk, ledger_connector, timeline),
    "event": (event_export, operations),
    "integrationtype": (oauth_support, offered),
    "ledgerentry": (ledger_groups, saved_views, history_state, history_changes, person),
    "oauthclient": (oauth_client,),
    "repository": (repository_setup, repository_check, repository_export, repository_import, repository_run),
    "reviewcampaign": (review, review_decide),
    "policyexception": (policy_exception,),
    "policyrule": (policy_rule,),
    "syncrun": (run,),
    "token": (token, revoke, forecast),
    "trailstream": (trail_stream,),
    "user": (people_access, person_sessions),
    "workspace": (discover, device_login, project_access),
}


def urls_for(model_admin: ModelAdmin[Any]) -> list[URLPattern]:
    """The addresses of all pages that belong to this admin's model; put them before the admin's own."""
    modules = _MODULES.get(str(model_admin.opts.model_name), ())
    return [pattern for module in modules for pattern in module.urls(model_admin)]
