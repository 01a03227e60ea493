"""Set a repository up: test it, make its key, confirm its host's keys, connect its webhook, find its projects."""

from __future__ import annotations

from typing import Any, NamedTuple

from django.contrib import messages
from django.contrib.admin import ModelAdmin
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import URLPattern, reverse
from pydantic import SecretStr

from connectors.admin.pages.frame import (
    CHANGE_REPOSITORY,
    actor_of,
    draw,
    fragment,
    outside_address,
    require,
    route,
    visible,
)
from connectors.core.errors import PortalError, Refused
from connectors.core.git import PUBLISHED_HOST_KEYS, GitError, fingerprint, look_up_host_keys, parse_url
from connectors.flows.find_projects import Found, choose, find_projects, place
from connectors.flows.repositories import forget_key, make_key, make_webhook_secret, set_key, set_known_hosts
from connectors.flows.repository_access import allowed
from connectors.flows.repository_words import is_ssh, web_url, words_of
from connectors.flows.try_repository import Finding, Level, try_repository
from connectors.models import Project, Repository
from connectors.models.visibility import may
from connectors.tasks import start_repository_read

TONES = {Level.OK: "success", Level.NOTE: "neutral", Level.WARN: "warning", Level.BAD: "danger"}
WORDS = {Level.OK: "Works", Level.NOTE: "Not used", Level.WARN: "To be looked at", Level.BAD: "Does not work"}
FIXES = {
    "change": "To the form",
    "find": "Find projects",
    "hostkeys": "Look up the host's key",
    "key": "To the deploy key",
    "webhook": "To the webhook",
}
"""What leads to the page that helps, by the last part of its name."""


class HostKey(NamedTuple):
    """A line of known_hosts as the page shows it."""

    host: str
    kind: str
    fingerprint: str


def urls(model_admin: ModelAdmin[Any]) -> list[URLPattern]:
    """`admin:connectors_repository_test`, `..._key`, `..._hostkeys`, `..._webhook`, `..._find` and its list."""
    return [
        route(model_admin, "<int:object_id>/test/", test, "test"),
        route(model_admin, "<int:object_id>/key/", key, "key"),
        route(model_admin, "<int:object_id>/host-keys/", host_keys, "hostkeys"),
        route(model_admin, "<int:object_id>/webhook/", webhook, "webhook"),
        route(model_admin, "<int:object_id>/find/", find, "find"),
        route(model_admin, "<int:object_id>/find/list/", find_list, "find_list"),
    ]


def test(model_admin: ModelAdmin[Any], request: HttpRequest, object_id: int) -> HttpResponse:
    """Tries the connection on POST, and says line by line what works."""
    row = _row(model_admin, request, object_id)
    findings = None
    if request.method == "POST":
        require(request, CHANGE_REPOSITORY, row)
        findings = try_repository(row, actor_of(request))
    lines = [_line(row, one) for one in (findings.lines if findings else ())]
    title = f"Test {row.name}"
    return _draw(model_admin, request, row, "test.html", title=title, findings=findings, lines=lines)


def key(model_admin: ModelAdmin[Any], request: HttpRequest, object_id: int) -> HttpResponse:
    """Shows the public half of the deploy key and where it goes; makes, takes over or forgets a key on POST."""
    row = _row(model_admin, request, object_id)
    problem = ""
    if request.method == "POST":
        require(request, CHANGE_REPOSITORY, row)
        try:
            messages.success(request, _change_key(request, row))
            return HttpResponseRedirect(request.path)
        except PortalError as error:
            problem = str(error)
    return _draw(
        model_admin,
        request,
        row,
        "key.html",
        title=f"Deploy key of {row.name}",
        problem=problem,
        fingerprint=fingerprint(row.deploy_public_key) if row.deploy_public_key else "",
        is_ssh=is_ssh(row),
    )


def host_keys(model_admin: ModelAdmin[Any], request: HttpRequest, object_id: int) -> HttpResponse:
    """Asks the server for its ssh keys on POST, and stores them once a person has confirmed what they see."""
    row = _row(model_admin, request, object_id)
    problem, lines = "", []
    if request.method == "POST":
        require(request, CHANGE_REPOSITORY, row)
        try:
            if "confirm" in request.POST:
                _confirm_host_keys(request, row)
                return HttpResponseRedirect(reverse("admin:connectors_repository_test", args=[row.pk]))
            lines = _asked_host_keys(row)
        except PortalError as error:
            problem = str(error)
    known = [_host_key(line) for line in row.known_hosts.splitlines() if line.strip()[:1] not in ("", "#")]
    found = [_host_key(line) for line in lines]
    return _draw(
        model_admin,
        request,
        row,
        "host_keys.html",
        title=f"Host keys of {row.name}",
        problem=problem,
        is_ssh=is_ssh(row),
        known=known,
        published=_is_published(row),
        found=found,
        lines="\n".join(lines),
        differs=_differ(known, found),
    )


def webhook(model_admin: ModelAdmin[Any], request: HttpRequest, object_id: int) -> HttpResponse:
    """Says where the webhook is entered at the host. POST makes a new secret, and its answer shows it this once."""
    row = _row(model_admin, request, object_id)
    secret: SecretStr | None = None
    if request.method == "POST":
        require(request, CHANGE_REPOSITORY, row)
        secret = make_webhook_secret(row, actor_of(request))
    return _draw(
        model_admin,
        request,
        row,
        "webhook.html",
        title=f"Webhook of {row.name}",
        address=outside_address(request, "api:git_webhook", row.public_id),
        secret=secret.get_secret_value() if secret else "",
        is_plain=row.host == Repository.Host.PLAIN,
    )


def find(model_admin: ModelAdmin[Any], request: HttpRequest, object_id: int) -> HttpResponse:
    """The page; it asks for its list itself, for git may take its time. POST places the ticked projects."""
    row = _row(model_admin, request, object_id)
    problem = ""
    if request.method == "POST":
        require(request, CHANGE_REPOSITORY, row)
        try:
            _place(request, row)
            return HttpResponseRedirect(reverse("admin:connectors_repository_change", args=[row.pk]))
        except PortalError as error:
            problem = str(error)
    title = f"Projects in {row.name}"
    return _draw(
        model_admin, request, row, "find.html", title=title, problem=problem, chosen=request.POST.getlist("path")
    )


def find_list(model_admin: ModelAdmin[Any], request: HttpRequest, object_id: int) -> HttpResponse:
    """The projects in the branch as it is now. Reads, and changes nothing."""
    row = _row(model_admin, request, object_id)
    may_change = may(request.user, CHANGE_REPOSITORY, row)
    context: dict[str, Any] = {"repository": row, "may_place": may_change}
    try:
        found = find_projects(row, Project.objects.visible_to(request.user))
        if not may_change:  # what else lies in the branch is for those who manage the repository
            found = tuple(one for one in found if one.project)
        mine = _mine(request, found)
        new = [one for one in found if one.can_be_placed and one.project and one.project.pk in mine]
        context |= {"found": found, "mine": mine, "new": len(new)}
    except PortalError as error:
        context["problem"] = str(error)
    return fragment(request, "repository/find_list.html", **context, chosen=request.GET.getlist("path"))


def _row(model_admin: ModelAdmin[Any], request: HttpRequest, object_id: int) -> Repository:
    return visible(model_admin, request, Repository.objects.all(), object_id)


def _draw(
    model_admin: ModelAdmin[Any], request: HttpRequest, row: Repository, template: str, **context: Any
) -> HttpResponse:
    """A page about this repository, with what every one of them needs."""
    return draw(
        model_admin,
        request,
        f"repository/{template}",
        original=row,
        repository=row,
        words=words_of(row),
        web_url=web_url(row),
        may_change=may(request.user, CHANGE_REPOSITORY, row),
        **context,
    )


def _line(row: Repository, found: Finding) -> dict[str, Any]:
    href = reverse(f"admin:connectors_repository_{found.fix}", args=[row.pk]) if found.fix else ""
    shown = {"tone": TONES[found.level], "word": WORDS[found.level]}
    return {"finding": found, "fix": FIXES.get(found.fix, ""), "href": href, **shown}


def _change_key(request: HttpRequest, row: Repository) -> str:
    """Makes, takes over or forgets the key, and says what happened."""
    actor = actor_of(request)
    if "forget" in request.POST:
        forget_key(row, actor)
        return "The deploy key is forgotten. Remove it at the host as well."
    if typed := request.POST.get("secret_key", "").strip():
        set_key(row, SecretStr(typed), actor)
        return "The deploy key is stored."
    if "make" not in request.POST:
        raise Refused("Paste a private key, or let the portal make one.")
    make_key(row, actor)
    return "A deploy key is made. Now enter its public half at the host."


def _asked_host_keys(row: Repository) -> list[str]:
    if not is_ssh(row):
        raise Refused("Only for an ssh address there is a host key to look up.")
    return look_up_host_keys(parse_url(row.url), allowed())


def _differ(known: list[HostKey], found: list[HostKey]) -> bool:
    """Whether the server shows another key than the stored one of the same kind, or none that is stored at all."""
    if not known or not found:
        return False
    kinds = {one.kind for one in known}
    return set(known).isdisjoint(found) or any(one.kind in kinds and one not in known for one in found)


def _confirm_host_keys(request: HttpRequest, row: Repository) -> None:
    lines = request.POST.get("lines", "")
    if not lines.strip():
        raise Refused("There is no key to confirm. Look it up again.")
    set_known_hosts(row, lines, actor_of(request))
    messages.success(request, "The host's keys are stored. From now on the portal talks to nobody else there.")


def _host_key(line: str) -> HostKey:
    host, kind = [*line.split(), "", ""][:2]
    return HostKey(host, kind, fingerprint(line))


def _is_published(row: Repository) -> bool:
    """Whether the portal knows the host's keys from the page on which they are published."""
    try:
        host = parse_url(row.url).host
    except GitError:
        return False
    return any(line.startswith((f"{host} ", f"[{host}]")) for line in PUBLISHED_HOST_KEYS)


def _mine(request: HttpRequest, found: tuple[Found, ...]) -> set[int]:
    """Keys of the projects among these that this person may place."""
    rows = Project.objects.permitted(request.user, CHANGE_REPOSITORY.partition(".")[2])
    return set(rows.filter(pk__in=[one.project.pk for one in found if one.project]).values_list("pk", flat=True))


def _place(request: HttpRequest, row: Repository) -> None:
    """Places the ticked projects, all or none, and has their files read."""
    wanted = request.POST.getlist("path")
    if not wanted:
        raise Refused("Nothing is ticked. Tick the projects that the portal is to follow here.")
    found = find_projects(row, Project.objects.visible_to(request.user))
    mine = _mine(request, found)
    chosen = choose([one for one in found if one.project and one.project.pk in mine], wanted)
    placed = place(row, chosen, actor_of(request))
    start_repository_read(row, actor_of(request), "Projects were added")
    count = f"{len(placed)} project{'' if len(placed) == 1 else 's'}"
    messages.success(request, f"Added {count}. Their files are being read; this page shows what they say.")
