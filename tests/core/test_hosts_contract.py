"""What the portal sends to hosts and reads of their answers is what their published descriptions have."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, get_args

import pytest
from pydantic import BaseModel
from pydantic.fields import FieldInfo

from connectors.core.hosts import gitea, github, gitlab, like_github
from tests.servers.contract import Contract, contract
from tests.servers.github_openapi import EDITIONS, described

OF_GITHUB, OF_GITLAB, OF_GITEA = contract("github"), contract("gitlab"), contract("gitea")

READ = [
    (OF_GITHUB, "GET /repos/{owner}/{repo}/pulls/{pull_number}", 200, github._Pull),
    (OF_GITHUB, "POST /repos/{owner}/{repo}/pulls", 201, github._Pull),
    (OF_GITHUB, "GET /repos/{owner}/{repo}", 200, like_github.RepositoryFacts),
    (OF_GITHUB, "GET /user", 200, like_github.User),
    (OF_GITLAB, "GET /projects/{id}/merge_requests/{merge_request_iid}", 200, gitlab._MergeRequest),
    (OF_GITLAB, "POST /projects/{id}/merge_requests", 201, gitlab._MergeRequest),
    (OF_GITLAB, "GET /projects/{id}", 200, gitlab._Project),
    (OF_GITLAB, "GET /personal_access_tokens/self", 200, gitlab._Token),
    (OF_GITLAB, "GET /user", 200, gitlab._User),
    (OF_GITEA, "GET /repos/{owner}/{repo}/pulls/{index}", 200, gitea._Pull),
    (OF_GITEA, "POST /repos/{owner}/{repo}/pulls", 201, gitea._Pull),
    (OF_GITEA, "GET /repos/{owner}/{repo}", 200, gitea._Repository),
    (OF_GITEA, "GET /user", 200, like_github.User),
]


@pytest.mark.parametrize(("known", "operation", "status", "model"), READ)
def test_what_is_read_of_an_answer_is_described(
    known: Contract, operation: str, status: int, model: type[BaseModel]
) -> None:
    assert list(_unknown(known, known.shape_of_answer(operation, status), model)) == []


def test_a_field_that_is_not_described_would_be_noticed() -> None:
    class Invented(BaseModel):
        number: int
        colour: str

    shape = OF_GITHUB.shape_of_answer("POST /repos/{owner}/{repo}/pulls", 201)
    assert list(_unknown(OF_GITHUB, shape, Invented)) == ["Invented.colour is not described"]


def test_a_field_that_need_not_come_must_have_a_default() -> None:
    class Strict(BaseModel):
        permissions: dict[str, bool]

    shape = OF_GITHUB.shape_of_answer("GET /repos/{owner}/{repo}", 200)
    assert list(_unknown(OF_GITHUB, shape, Strict)) == ["Strict.permissions need not come, and has no default"]


def test_a_fact_that_is_none_would_be_noticed() -> None:
    fact = {"type": "object", "required": ["a"], "properties": {"a": {"type": "string"}, "b": {"type": "integer"}}}
    own = {"type": "object", "properties": {"a": {"type": "integer"}}}
    assert _differs(fact, own, "x") == ["x.a need not be", "x.a: type", "x.b is unknown"]


@pytest.mark.cli
@pytest.mark.parametrize("edition", EDITIONS)
@pytest.mark.parametrize("operation", OF_GITHUB.operations)
def test_the_facts_about_github_are_githubs_own(edition: str, operation: str) -> None:
    own = described(edition)[operation]
    facts = OF_GITHUB.operations[operation]
    queries = {each["name"]: each["schema"] for each in own["parameters"] if each["in"] == "query"}
    wrong = [
        text for name, shape in facts.get("query", {}).items() for text in _differs(shape, queries.get(name), name)
    ]
    if "body" in facts:
        sent = own["requestBody"]["content"]["application/json"]["schema"]
        wrong += _differs(facts["body"], sent, "body")
        wrong += [
            f"body.{name} is required" for name in sent.get("required", ()) if name not in facts["body"]["required"]
        ]
    for status, shape in facts["answers"].items():
        content = own["responses"].get(status, {}).get("content", {}).get("application/json", {})
        wrong += _differs(shape, content.get("schema"), status)
    assert wrong == []


def _differs(fact: Mapping[str, Any], own: Mapping[str, Any] | None, where: str) -> list[str]:
    """Where a fact of ours says more than GitHub's schema, or something else."""
    fact = OF_GITHUB.resolved(fact)
    if own is None:
        return [f"{where} is unknown"]
    if options := own.get("oneOf") or own.get("anyOf"):
        return [text for option in options for text in _differs(fact, option, where)]
    wrong = [f"{where}: {key}" for key in ("type", "enum") if key in fact and fact[key] != own.get(key)]
    wrong += [f"{where}: nullable" for _ in [0] if own.get("nullable") and not fact.get("nullable")]
    wrong += [f"{where}.{name} need not be" for name in fact.get("required", ()) if name not in own.get("required", ())]
    for name, each in fact.get("properties", {}).items():
        wrong += _differs(each, own.get("properties", {}).get(name), f"{where}.{name}")
    return wrong + (_differs(fact["items"], own.get("items"), f"{where}[]") if "items" in fact else [])


def _unknown(known: Contract, shape: Mapping[str, Any], model: type[BaseModel]) -> Iterator[str]:
    """Fields of ours that the description lacks, or does not promise although we cannot do without."""
    shape = known.resolved(shape)
    promised = shape.get("required", shape["properties"])  # Gitea's and GitLab's say of no field that it must come
    for name, info in model.model_fields.items():
        if name not in shape["properties"]:
            yield f"{model.__name__}.{name} is not described"
            continue
        if info.is_required() and name not in promised:
            yield f"{model.__name__}.{name} need not come, and has no default"
        for inner in _models(info):
            yield from _unknown(known, shape["properties"][name], inner)


def _models(info: FieldInfo) -> Iterator[type[BaseModel]]:
    for each in (info.annotation, *get_args(info.annotation)):
        if isinstance(each, type) and issubclass(each, BaseModel):
            yield each
