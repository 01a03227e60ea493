"""What can need a second person, each as exactly what it would do: a plan, the end of tokens, files handed out."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any, Literal

from connectors.core.actions import Action, ActionKind, Plan
from connectors.core.config_files import FileChange
from connectors.flows.approvals import Matter
from connectors.flows.export_choices import Choices
from connectors.flows.export_terms import ProjectExport
from connectors.models import Project, Repository, Token
from connectors.models.approval import Subject

Way = Literal["revoke", "forget"]

MOST_TEXT = 20_000
"""Characters of one file that are kept for whoever decides. Connector files have a few hundred."""

_VERBS = {
    ActionKind.SET: "set the scopes",
    ActionKind.CONSENT: "ask for consent again, with the scopes",
    ActionKind.PROVISION: "install Stripe",
    ActionKind.REMOVE: "remove it at Base44",
    ActionKind.REMOVE_STRIPE: "uninstall Stripe",
}
_VERBS_OF_FILES = {"new": "write", "edited": "edit", "removed": "remove"}


def plan_matter(project: Project, plan: Plan, removals: Collection[str]) -> Matter:
    """Applying this plan, with these removals ticked."""
    chosen = [action for action in plan.actions if not action.destructive or action.type in removals]
    facts = {
        "base": plan.fingerprint,
        "actions": sorted(_action_facts(action) for action in chosen),
        "removals": sorted(removals),
    }
    shown = {
        "plan": plan.as_json(),
        "removals": sorted(removals),
        "lines": [_action_line(action) for action in chosen],
    }
    return Matter(Subject.PLAN, project, f"Apply a plan to {project}", facts, shown)


def ending_matters(tokens: Iterable[Token], way: Way) -> list[Matter]:
    """Ending these tokens, by project: whoever decides for one project decides on its tokens alone.

    Tokens that have ended already are nobody's matter. Connector, type and project of the tokens must be at hand.
    """
    found: dict[int, list[Token]] = {}
    for token in tokens:
        if token.state != Token.State.REVOKED:
            found.setdefault(token.connector.project_id, []).append(token)
    return [_ending(sorted(rows, key=lambda row: row.pk), way) for rows in found.values()]


def files_matter(project: Project, changes: Sequence[FileChange]) -> Matter:
    """Handing out these files of the project: as an archive, or into a directory on this machine."""
    written = [change for change in changes if change.kind in _VERBS_OF_FILES]
    facts = {"way": "files", "files": sorted([change.path, _digest(change.after)] for change in written)}
    shown = {
        "files": [{"path": c.path, "kind": c.kind, "text": _text(c.after)} for c in written],
        "lines": [_file_line(change.kind, change.path, change.after) for change in written],
    }
    return Matter(Subject.EXPORT, project, f"Export the files of {project}", facts, shown)


def repository_matter(repository: Repository, plan: ProjectExport, choices: Choices) -> Matter:
    """Writing these files of a project to its repository. Lock files follow from what Base44 says, and do not count."""
    files = [file for file in plan.files if file.type]
    facts = {
        "way": "repository",
        "repository": [repository.pk, repository.url, repository.branch, repository.mode],
        "files": sorted([file.path, _digest(file.change.before), _digest(file.change.after)] for file in files),
    }
    shown = {
        "repository": repository.pk,
        "repository_label": repository.name,
        "branch": repository.branch,
        "choices": choices.as_json(),
        "files": [{"path": file.path, "kind": file.kind, "diff": file.diff[:MOST_TEXT]} for file in files],
        "lines": [_file_line(file.kind, file.path, file.change.after) for file in files],
    }
    return Matter(Subject.EXPORT, plan.project, f"Export {plan.project} to {repository.name}", facts, shown)


def _ending(tokens: list[Token], way: Way) -> Matter:
    project = tokens[0].connector.project
    verb = "Revoke" if way == "revoke" else "Forget"
    what = f"the token of {tokens[0].connector.integration_type_id}" if len(tokens) == 1 else f"{len(tokens)} tokens"
    lines = [f"{verb} the token of {row.connector.integration_type_id}, {_account(row)}" for row in tokens]
    shown: Mapping[str, Any] = {
        "way": way,
        "tokens": [
            {"id": row.pk, "type": row.connector.integration_type_id, "account": _account(row)} for row in tokens
        ],
        "lines": lines,
    }
    facts = {"way": way, "tokens": [[row.pk, row.authorised_at.isoformat()] for row in tokens]}
    return Matter(Subject.REVOKE, project, f"{verb} {what} in {project}", facts, shown)


def _account(token: Token) -> str:
    return token.account or "account not known"


def _action_facts(action: Action) -> list[Any]:
    config = sorted(action.connection_config.items())
    return [action.kind.value, action.type, action.account, sorted(action.scopes), [list(pair) for pair in config]]


def _action_line(action: Action) -> str:
    """One action as words that differ whenever the action does."""
    scopes = f" {', '.join(sorted(action.scopes))}" if action.scopes and not action.destructive else ""
    config = "".join(f"; {key} = {value}" for key, value in sorted(action.connection_config.items()))
    blocked = " (can't be applied)" if action.problem else ""
    return f"{action.type}: {_VERBS[action.kind]}{scopes}{config}{blocked}"


def _file_line(kind: str, path: str, after: bytes | None) -> str:
    return f"{_VERBS_OF_FILES[kind]} {path}{f' ({_digest(after)[:12]})' if after is not None else ''}"


def _digest(content: bytes | None) -> str:
    return "" if content is None else hashlib.sha256(content).hexdigest()


def _text(content: bytes | None) -> str:
    return (content or b"").decode("utf-8", "replace")[:MOST_TEXT]
