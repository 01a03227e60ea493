"""A workspace's credential: sign in at Base44 with a code, or ask Base44 whether it accepts what is stored.

The device code is a secret that gives the tokens away. It lies in this person's session, sealed, until the sign-in is
over; the page and its addresses only know the code that a person types.
"""

from __future__ import annotations

from typing import Any

from django.contrib import messages
from django.contrib.admin import ModelAdmin
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse, HttpResponseNotAllowed, HttpResponseRedirect
from django.urls import URLPattern, reverse
from django.utils import timezone
from django.views.decorators.debug import sensitive_variables
from pydantic import SecretStr

from connectors.admin.pages.frame import CHANGE_WORKSPACE, actor_of, draw, fragment, require, route, visible
from connectors.core.errors import ApiError, CredentialError, PortalError
from connectors.flows.connect import client_for
from connectors.flows.credentials import finish_device_login, start_device_login, verify_credential
from connectors.models import Sealed, Workspace
from connectors.models.visibility import may

KEY = "device_login"
MIN_INTERVAL, MAX_INTERVAL = 1, 30


def urls(model_admin: ModelAdmin[Any]) -> list[URLPattern]:
    """`admin:connectors_workspace_device_login`, the poll that htmx makes, and `_verify`."""
    return [
        route(model_admin, "<int:object_id>/sign-in/", sign_in_page, "device_login"),
        route(model_admin, "<int:object_id>/sign-in/poll/", poll, "device_login_poll"),
        route(model_admin, "<int:object_id>/verify/", verify, "verify"),
    ]


def sign_in_page(model_admin: ModelAdmin[Any], request: HttpRequest, object_id: int) -> HttpResponse:
    """Explains the sign-in, and shows the code of one that was begun. POST begins one."""
    workspace = visible(model_admin, request, Workspace.objects.all(), object_id)
    if not workspace.is_known_to(request.user):
        raise PermissionDenied
    problem = ""
    if request.method == "POST":
        require(request, CHANGE_WORKSPACE, workspace)
        try:
            _begin(request, workspace)
            return HttpResponseRedirect(request.path)
        except PortalError as error:
            problem = str(error)
    return draw(
        model_admin,
        request,
        "sign_in.html",
        title=f"Sign in to {workspace}",
        original=workspace,
        workspace=workspace,
        problem=problem,
        login=_begun(request, workspace),
        may_change=may(request.user, CHANGE_WORKSPACE, workspace),
    )


@sensitive_variables("login", "code")
def poll(model_admin: ModelAdmin[Any], request: HttpRequest, object_id: int) -> HttpResponse:
    """Asks Base44 once whether the person has agreed; stores the tokens when so."""
    workspace = visible(model_admin, request, Workspace.objects.all(), object_id)
    if request.method != "POST":
        return HttpResponseNotAllowed(["POST"])
    require(request, CHANGE_WORKSPACE, workspace)
    login = _begun(request, workspace)
    if login is None:
        return fragment(request, "sign_in_status.html", workspace=workspace, problem="This sign-in is over.")
    try:
        code = SecretStr(Sealed(login["code"]).reveal())
        if not finish_device_login(workspace, code, actor_of(request)):
            return fragment(request, "sign_in_status.html", workspace=workspace, login=login)
    except CredentialError as error:
        _end(request)
        return fragment(request, "sign_in_status.html", workspace=workspace, problem=str(error))
    except ApiError as error:
        return fragment(request, "sign_in_status.html", workspace=workspace, login=login, hitch=str(error))
    _end(request)
    return _signed_in(request, workspace)


def verify(model_admin: ModelAdmin[Any], request: HttpRequest, object_id: int) -> HttpResponse:
    """Asks Base44 whether it accepts the stored credential, and says what it answered on the workspace's page."""
    workspace = visible(model_admin, request, Workspace.objects.all(), object_id)
    if request.method != "POST":
        return HttpResponseNotAllowed(["POST"])
    require(request, CHANGE_WORKSPACE, workspace)
    try:
        accepted = verify_credential(workspace, client_for(workspace), actor_of(request))
    except PortalError as error:
        messages.error(request, str(error))
    else:
        if accepted:
            messages.success(request, f"Base44 accepts the credential{_of_whom(workspace)}.")
        else:
            messages.error(request, "Base44 refuses the credential: set a new one.")
    return HttpResponseRedirect(reverse("admin:connectors_workspace_change", args=[workspace.pk]))


def _begin(request: HttpRequest, workspace: Workspace) -> None:
    answer = start_device_login(workspace)
    request.session[KEY] = {
        "workspace": workspace.pk,
        "code": Sealed.of(answer.device_code.get_secret_value()).ciphertext,
        "user_code": answer.user_code,
        "address": answer.verification_uri,
        "interval": int(min(max(answer.interval, MIN_INTERVAL), MAX_INTERVAL)),
        "ends": timezone.now().timestamp() + answer.expires_in,
    }


def _begun(request: HttpRequest, workspace: Workspace) -> dict[str, Any] | None:
    """The sign-in that this person began for this workspace, unless its time is up."""
    login: dict[str, Any] | None = request.session.get(KEY)
    if not login or login["workspace"] != workspace.pk or login["ends"] < timezone.now().timestamp():
        return None
    return login


def _end(request: HttpRequest) -> None:
    request.session.pop(KEY, None)


def _signed_in(request: HttpRequest, workspace: Workspace) -> HttpResponse:
    try:
        verify_credential(workspace, client_for(workspace), actor_of(request))
    except PortalError:
        workspace.refresh_from_db()  # signed in all the same: whose it is will show at the next check
    return fragment(request, "sign_in_status.html", workspace=workspace, done=True, whose=_of_whom(workspace))


def _of_whom(workspace: Workspace) -> str:
    return f" of {workspace.credential_account}" if workspace.credential_account else ""
