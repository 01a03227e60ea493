"""Every page that the browser tests look at. Pages of registered models are found by themselves."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from django.contrib import admin
from django.contrib.auth.models import User
from django.db.models import Model
from django.http import HttpRequest
from django.urls import reverse

from connectors.models import (
    Approval,
    Connector,
    OAuthClient,
    PolicyRule,
    Project,
    Repository,
    RepositoryRun,
    ReviewCampaign,
)
from tests.browser.scene import Scene

SHOWN_APPS = ("connectors", "auth")
DJANGO_PAGES = {"changelist", "add", "change", "delete", "history"}
NO_PAGES = {
    # Parts of pages, answers for scripts, and addresses that only take a POST.
    "alertroute_secret",
    "alertroute_test",
    "approval_decide",
    "approval_withdraw",
    "cataloguescope_shipped",
    "connector_catalogue",
    "project_export_many",
    "project_sync",
    "connector_authorise_status",
    "consentlink_withdraw",
    "event_export",
    "event_operations_now",
    "invitation_withdraw",
    "ledgerentry_remove_view",
    "ledgerentry_save_view",
    "membership_mine",
    "membership_people",
    "policyexception_decide",
    "policyexception_withdraw",
    "policyrule_switch",
    "repository_find_list",
    "repository_read",
    "repository_run",
    "repository_run_state",
    "syncrun_live_steps",
    "syncrun_cancel",
    "oauthclient_check",
    "signinprovider_test",
    "token_introspect",
    "trailstream_secret",
    "trailstream_test",
    "user_end_sessions",
    "token_refresh",
    "workspace_discover_apps",
    "workspace_device_login_poll",
    "workspace_verify",
}
"""A new address of a ModelAdmin counts as a page unless it stands here."""


@dataclass(frozen=True, slots=True)
class Look:
    """A page: its name in test ids and screenshots, and where it is in a given scene."""

    name: str
    path: Callable[[Scene], str]
    anonymous: bool = False
    status: int = 200

    def __str__(self) -> str:
        return self.name


def pages() -> list[Look]:
    """All pages: those of every registered model, then those listed by hand."""
    return [page for model in _models() for page in _model_pages(model)] + EXTRA


def _of_connector(page: str) -> Callable[[Scene], str]:
    return lambda scene: reverse(f"admin:connectors_connector_{page}", args=[scene.example(Connector)])


def _of_client(slug: str) -> Callable[[Scene], str]:
    return lambda scene: reverse("admin:connectors_oauthclient_change", args=[OAuthClient.objects.get(slug=slug).pk])


def _of_link(page: str, link: str) -> Callable[[Scene], str]:
    return lambda scene: reverse(f"consent_link_{page}", args=[scene.links[link]])


def _of_review(page: str, query: str = "", *, draft: bool = False) -> Callable[[Scene], str]:
    rows = ReviewCampaign.objects.filter(state="draft" if draft else "open")
    return lambda scene: reverse(f"admin:connectors_reviewcampaign_{page}", args=[rows.all()[0].pk]) + query


def _of_repository(page: str, name: str) -> Callable[[Scene], str]:
    rows = Repository.objects.filter(name=name)
    return lambda scene: reverse(f"admin:connectors_repository_{page}", args=[rows.all()[0].pk])


def _of_repository_run(state: str) -> Callable[[Scene], str]:
    rows = RepositoryRun.objects.filter(state=state)
    return lambda scene: reverse("admin:connectors_repository_run", args=[rows.all()[0].pk])


def _of_rule_that_is_off(scene: Scene) -> str:
    return reverse("admin:connectors_policyrule_rehearsal", args=[PolicyRule.objects.get(is_enabled=False).pk])


def _of_approval(state: str, subject: str) -> Callable[[Scene], str]:
    rows = Approval.objects.filter(state=state, subject=subject).order_by("pk")
    return lambda scene: reverse("admin:connectors_approval_change", args=[rows.all()[0].pk])


def _of_project(page: str, slug: str) -> Callable[[Scene], str]:
    rows = Project.objects.filter(slug=slug)
    return lambda scene: reverse(f"admin:connectors_project_{page}", args=[rows.all()[0].pk])


EXTRA: list[Look] = [
    Look("dashboard", lambda scene: "/admin/"),
    Look("login", lambda scene: "/accounts/login/", anonymous=True),
    Look("login-of-admin", lambda scene: "/admin/login/", anonymous=True),
    Look("join", lambda scene: f"/join/{scene.invitation}/", anonymous=True),
    Look("join-as-somebody-else", lambda scene: f"/join/{scene.invitation}/"),
    Look("join-over", lambda scene: "/join/over/", anonymous=True, status=404),
    Look("access-of-ben", lambda scene: f"/admin/auth/user/{User.objects.get(username='ben').pk}/access/"),
    Look("access-mine", lambda scene: reverse("admin:connectors_membership_mine")),
    Look(
        "access-rules",
        lambda scene: reverse("admin:connectors_project_access", args=[scene.example(Project)]) + "?can=rules",
    ),
    Look("password-change", lambda scene: "/accounts/password/change/"),
    Look("logout", lambda scene: "/accounts/logout/"),
    Look("second-factor", lambda scene: "/accounts/2fa/"),
    Look("second-factor-keys", lambda scene: "/accounts/2fa/webauthn/"),
    Look("sessions", lambda scene: "/accounts/sessions/"),
    Look("reauthenticate", lambda scene: "/accounts/reauthenticate/"),
    Look("not-found", lambda scene: "/admin/nothing/here/", status=404),
    Look("approval-changed", _of_approval("open", "plan")),
    Look("approval-files", _of_approval("open", "export")),
    Look("approval-declined", _of_approval("declined", "export")),
    Look("project-plan-waiting", _of_project("plan", "release-notes")),
    Look("project-export-asked", _of_project("export", "release-notes")),
    Look("project-export-to-ask", _of_project("export", "old-notes")),
    Look("connector-history", _of_connector("history")),
    Look("connector-delete", _of_connector("delete")),
    Look("oauthclient-add-microsoft", lambda scene: "/admin/connectors/oauthclient/add/?provider=microsoft"),
    Look("oauthclient-misconfigured", _of_client("hubspot-old")),
    Look("consent-page", _of_link("page", "page")),
    Look("consent-done", _of_link("result", "done")),
    Look("consent-fewer", _of_link("result", "fewer")),
    Look("consent-withdrawn", lambda scene: "/consent/over/withdrawn/", anonymous=True, status=410),
    Look("reviewcampaign-draft", _of_review("change", draft=True)),
    Look("reviewcampaign-open-draft", _of_review("open", draft=True)),
    Look("reviewcampaign-decide-all", _of_review("decide", "?owner=all&show=all")),
    Look("reviewcampaign-verified", _of_review("evidence", "?verify=1")),
    Look("history-week", lambda scene: "/admin/connectors/ledgerentry/history/"),
    Look("history-nothing", lambda scene: "/admin/connectors/ledgerentry/history/?at=2001-01-01"),
    Look("history-month", lambda scene: "/admin/connectors/ledgerentry/changes/?from=2001-01-01"),
    Look("person-ada", lambda scene: "/admin/connectors/ledgerentry/person/?name=ada"),
    Look("person-nobody", lambda scene: "/admin/connectors/ledgerentry/person/?name=nobody"),
    Look("ledgerentry-printed", lambda scene: "/admin/connectors/ledgerentry/?download=print"),
    Look("ledgerentry-scopes-found", lambda scene: "/admin/connectors/ledgerentry/by/scopes/?q=send+mail"),
    Look("ledgerentry-list-differs", lambda scene: "/admin/connectors/ledgerentry/?verdict=differs&sensitivity=high"),
    Look("policyrule-rehearsal-off", _of_rule_that_is_off),
    Look("repository-requests", _of_repository("change", "Acme Labs monorepo")),
    Look("repository-failing", _of_repository("change", "Finance config")),
    Look("repository-unread", _of_repository("change", "Recruiting")),
    Look("repository-export-request", _of_repository("export", "Acme Labs monorepo")),
    Look("repository-export-nothing", _of_repository("export", "Recruiting")),
    Look("repository-run", _of_repository_run("partial")),
    Look("repository-run-open", _of_repository_run("running")),
    Look("repository-run-failed", _of_repository_run("failed")),
    Look("connector-list-no-match", lambda scene: "/admin/connectors/connector/?q=zzzz"),
    Look("connector-list-found", lambda scene: "/admin/connectors/connector/?q=gmail"),
]


def _models() -> list[type[Model]]:
    registered = [model for model in admin.site._registry if model._meta.app_label in SHOWN_APPS]
    return sorted(registered, key=lambda model: model._meta.label_lower)


def _model_pages(model: type[Model]) -> list[Look]:
    """List, one row, and the form for a new one where there is one."""
    name = str(model._meta.model_name)
    base = f"admin:{model._meta.app_label}_{name}"
    model_admin, request = admin.site._registry[model], _request()

    def of_one(page: str) -> Callable[[Scene], str]:
        return lambda scene: reverse(f"{base}_{page}", args=[scene.example(model)])

    found = [
        Look(f"{name}-list", lambda scene: reverse(f"{base}_changelist")),
        Look(f"{name}-change", of_one("change")),
    ]
    if model_admin.has_add_permission(request):
        found.append(Look(f"{name}-add", lambda scene: reverse(f"{base}_add")))
    for pattern in model_admin.get_urls():
        page = str(pattern.name or "").removeprefix(f"{base.removeprefix('admin:')}_")
        if page not in DJANGO_PAGES and f"{name}_{page}" not in NO_PAGES and pattern.name:
            one = bool(pattern.pattern.converters)
            found.append(Look(f"{name}-{page}", of_one(page) if one else _of_all(str(pattern.name))))
    return found


def _of_all(name: str) -> Callable[[Scene], str]:
    return lambda scene: reverse(f"admin:{name}") + "?ids=" + ",".join(map(str, scene.projects))


def _request() -> HttpRequest:
    """A request by somebody who may do everything, for asking which pages there are before there is a database."""
    request = HttpRequest()
    request.user = User(username="nobody", is_active=True, is_staff=True, is_superuser=True)
    return request
