"""How GitHub, GitLab and Gitea speak of the forge's pull requests: their paths, their words, their refusals."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from tests.servers.contract import Matched, contract
from tests.servers.forge_state import PREFIXES, WHEN, Asked, Forge, Kind, Project, Pull

Answer = tuple[int, Any]
Dialect = Callable[[Forge, Project, Matched, Mapping[str, Any]], Answer]

REFUSED: dict[Kind, dict[int, str]] = {
    "github": {401: "Bad credentials", 403: "Resource not accessible by personal access token", 404: "Not Found"},
    "gitlab": {401: "401 Unauthorized", 403: "403 Forbidden", 404: "404 Project Not Found"},
    "gitea": {401: "invalid username, password or token", 403: "Must have write permission", 404: "Not Found"},
}
DOCS = "https://docs.github.com/rest"
KEPT_TO = (200, 201, 400, 409, 412, 422)
"""Statuses that belong to an operation; the others a host may answer to anything."""


def answer(forge: Forge, asked: Asked) -> tuple[int, Any, Mapping[str, str]]:
    """Status, body and further headers for a request."""
    kind = next((each for each in PREFIXES if asked.target.startswith(PREFIXES[each] + "/")), None)
    if kind is None:
        return 404, {"message": "Not Found"}, {}
    known = contract(kind)
    call = known.match(asked.method, asked.target.removeprefix(PREFIXES[kind]))
    if call is None:
        forge.breaches.append(f"{kind}: no operation {asked.method} {asked.target}")
        return 404, {"message": "Not Found"}, {}
    wrong = known.breaches_of_request(call, asked.body)
    forge.breaches += [f"{kind} {call.operation}: {text}" for text in wrong]
    if wrong:
        return 422, _invalid(kind, "; ".join(wrong)), {}
    status, body, headers = _authorised(forge, kind, call, asked)
    if status in KEPT_TO:
        told = known.breaches_of_answer(call.operation, status, body)
        forge.breaches += [f"{kind} {call.operation} answers: {text}" for text in told]
    return status, body, headers


def _authorised(forge: Forge, kind: Kind, call: Matched, asked: Asked) -> tuple[int, Any, Mapping[str, str]]:
    token = _token(kind, asked.headers)
    if token not in (forge.token.get_secret_value(), forge.read_only_token.get_secret_value()):
        return 401, {"message": REFUSED[kind][401]}, {}
    if call.operation == "GET /user":
        return 200, {"username" if kind == "gitlab" else "login": forge.login}, {}
    if call.operation == "GET /personal_access_tokens/self":
        return 200, {"scopes": list(forge.scopes)}, {}
    path = call.place.get("id") or f"{call.place['owner']}/{call.place['repo']}"
    if path in forge.renamed:
        status = 301 if asked.method == "GET" else 307
        return status, {"message": "Moved Permanently"}, {"Location": f"{forge.url}/elsewhere"}
    project = forge.projects.get(path)
    if project is None:
        return 404, {"message": REFUSED[kind][404]}, {}
    is_writer = token == forge.token.get_secret_value()
    if asked.method != "GET" and not is_writer:
        return 403, {"message": REFUSED[kind][403]}, {}
    if call.operation.partition(" ")[2] in ("/projects/{id}", "/repos/{owner}/{repo}"):
        return 200, _repository(kind, project, is_writer=is_writer), {}
    number = next(
        (int(call.place[name]) for name in ("pull_number", "merge_request_iid", "index") if name in call.place), 0
    )
    if number and number not in project.pulls:
        return 404, {"message": "Not Found" if kind != "gitlab" else "404 Not found"}, {}
    return *DIALECTS[kind](forge, project, call, asked.body or {}), {}


def _token(kind: Kind, headers: Mapping[str, str]) -> str:
    if kind == "gitlab":
        return headers.get("private-token", "")
    scheme = "Bearer " if kind == "github" else "token "
    given = headers.get("authorization", "")
    return given.removeprefix(scheme) if given.startswith(scheme) else ""


def _repository(kind: Kind, project: Project, *, is_writer: bool) -> dict[str, Any]:
    if kind == "gitlab":
        access = {"access_level": 30 if is_writer else 20, "notification_level": 3}
        return {
            "path_with_namespace": project.path,
            "visibility": "private",
            "archived": project.is_archived,
            "merge_requests_enabled": True,
            "permissions": {"project_access": access, "group_access": None},
        }
    rights = {"admin": False, "pull": True, "push": is_writer}
    shown = {"full_name": project.path, "archived": project.is_archived, "permissions": rights}
    return shown | ({"has_pull_requests": True} if kind == "gitea" else {})


def _invalid(kind: Kind, message: str) -> dict[str, Any]:
    if kind != "github":
        return {"message": message}
    errors = [{"resource": "PullRequest", "code": "custom", "message": message}]
    return {"message": "Validation Failed", "errors": errors, "documentation_url": DOCS}


def _github(forge: Forge, project: Project, call: Matched, body: Mapping[str, Any]) -> Answer:
    if "pull_number" in call.place:
        pull = project.pulls[int(call.place["pull_number"])]
        return 200, _github_pull(forge, project, _edited(project, pull, body, closes=body.get("state") == "closed"))
    if call.operation.startswith("GET"):
        owner, _, branch = call.query.get("head", "").rpartition(":")
        pulls = _listed(project, call.query.get("state", "open"), call.query.get("base"), branch if owner else None)
        return 200, [_github_pull(forge, project, pull) for pull in pulls]
    for name in ("head", "base"):
        if not project.repo.head(body[name]):
            errors = [{"resource": "PullRequest", "field": name, "code": "invalid"}]
            return 422, {"message": "Validation Failed", "errors": errors, "documentation_url": DOCS}
    if len(body.get("body", "")) > 65_536:
        return 422, _invalid("github", "body is too long (maximum is 65536 characters)")
    if project.repo.head(body["head"]) == project.repo.head(body["base"]):
        return 422, _invalid("github", f"No commits between {body['base']} and {body['head']}")
    if project.open_one(body["head"], body["base"]):
        owner = project.path.partition("/")[0]
        return 422, _invalid("github", f"A pull request already exists for {owner}:{body['head']}.")
    pull = project.start(body["head"], body["base"], body["title"], body.get("body", ""))
    return 201, _github_pull(forge, project, pull)


def _gitea(forge: Forge, project: Project, call: Matched, body: Mapping[str, Any]) -> Answer:
    if "index" in call.place:
        pull = project.pulls[int(call.place["index"])]
        if "state" in body and pull.state == "merged":
            return 412, {"message": "cannot change state of this pull request, it was already merged"}
        shown = _gitea_pull(forge, project, _edited(project, pull, body, closes=body.get("state") == "closed"))
        return (200 if call.operation.startswith("GET") else 201), shown
    if call.operation.startswith("GET"):
        pulls = _listed(project, call.query.get("state", "open"), call.query.get("base_branch"), None)
        size, page = 2 if forge.short_pages else int(call.query.get("limit", 30)), int(call.query.get("page", 1))
        return 200, [_gitea_pull(forge, project, pull) for pull in pulls[(page - 1) * size : page * size]]
    if not all(project.repo.head(body.get(name, "")) for name in ("head", "base")):
        return 404, {"message": "The target couldn't be found."}
    if there := project.open_one(body["head"], body["base"]):
        named = (
            f"[id: {there.number}, issue_id: {there.number}, head_branch: {there.branch}, base_branch: {there.base}]"
        )
        return 409, {"message": f"pull request already exists for these targets {named}"}
    pull = project.start(body["head"], body["base"], body["title"], body.get("body", ""))
    return 201, _gitea_pull(forge, project, pull)


def _gitlab(forge: Forge, project: Project, call: Matched, body: Mapping[str, Any]) -> Answer:
    if "merge_request_iid" in call.place:
        pull = project.pulls[int(call.place["merge_request_iid"])]
        if call.operation.startswith("PUT") and not body:
            return 400, {
                "error": "title, description, state_event are missing, at least one parameter must be provided"
            }
        return 200, _merge_request(
            forge, project, _edited(project, pull, body, closes=body.get("state_event") == "close")
        )
    if call.operation.startswith("GET"):
        state = {"opened": "open", "all": "all"}.get(call.query.get("state", "all"), call.query.get("state", ""))
        pulls = _listed(project, state, call.query.get("target_branch"), call.query.get("source_branch"))
        return 200, [_merge_request(forge, project, pull) for pull in pulls]
    if there := project.open_one(body["source_branch"], body["target_branch"]):
        return 409, {"message": [f"Another open merge request already exists for this source branch: !{there.number}"]}
    if len(body["title"]) > 255:
        return 400, {"message": {"title": ["is too long (maximum is 255 characters)"]}}
    pull = project.start(body["source_branch"], body["target_branch"], body["title"], body.get("description", ""))
    return 201, _merge_request(forge, project, pull)


DIALECTS: dict[Kind, Dialect] = {"github": _github, "gitlab": _gitlab, "gitea": _gitea}


def _listed(project: Project, state: str, base: str | None, branch: str | None) -> list[Pull]:
    """Newest first. For GitHub and Gitea "closed" has the merged ones in it; here nobody asks for those."""
    pulls = sorted(project.pulls.values(), key=lambda pull: -pull.number)
    wanted = [pull for pull in pulls if state in ("all", pull.state)]
    return [pull for pull in wanted if base in (None, pull.base) and branch in (None, pull.branch)]


def _edited(project: Project, pull: Pull, body: Mapping[str, Any], *, closes: bool) -> Pull:
    pull.title = body.get("title", pull.title)
    pull.body = body.get("body", body.get("description", pull.body))
    if closes and pull.state == "open":
        project.end(pull, "closed")
    return pull


def _github_pull(forge: Forge, project: Project, pull: Pull) -> dict[str, Any]:
    return {
        "number": pull.number,
        "html_url": f"{forge.url}/{project.path}/pull/{pull.number}",
        "title": pull.title,
        "body": pull.body or None,
        "state": "open" if pull.state == "open" else "closed",
        "merged_at": WHEN.isoformat() if pull.state == "merged" else None,
        "head": {"ref": pull.branch, "sha": project.head(pull)},
        "base": {"ref": pull.base, "sha": project.repo.head(pull.base)},
    }


def _gitea_pull(forge: Forge, project: Project, pull: Pull) -> dict[str, Any]:
    return {
        "number": pull.number,
        "html_url": f"{forge.url}/{project.path}/pulls/{pull.number}",
        "title": pull.title,
        "body": pull.body,
        "state": "open" if pull.state == "open" else "closed",
        "merged": pull.state == "merged",
        "merged_at": WHEN.isoformat() if pull.state == "merged" else None,
        "head": {"label": pull.branch, "ref": pull.branch, "sha": project.head(pull), "repo_id": project.id},
        "base": {"label": pull.base, "ref": pull.base, "sha": project.repo.head(pull.base), "repo_id": project.id},
    }


def _merge_request(forge: Forge, project: Project, pull: Pull) -> dict[str, Any]:
    return {
        "iid": pull.number,
        "web_url": f"{forge.url}/{project.path}/-/merge_requests/{pull.number}",
        "title": pull.title,
        "description": pull.body,
        "state": "opened" if pull.state == "open" else pull.state,
        "merged_at": WHEN.isoformat() if pull.state == "merged" else None,
        "source_branch": pull.branch,
        "target_branch": pull.base,
        "source_project_id": project.id,
        "target_project_id": project.id,
        "sha": project.head(pull) or None,
    }
