"""What must be true once all troubles are over, each failure in words."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from connectors.models import Connector, Event, Project, SyncStep, Token, TokenRefresh
from tests.faults.provider import Death
from tests.faults.rows import open_runs, patiently
from tests.faults.world import World, wanted

Scopes = dict[str, dict[str, list[str]]]


def state(world: World) -> dict[str, Scopes]:
    """The four places that should agree: declared, registered as the portal saw it, Base44 itself, the files in git."""
    found: dict[str, Scopes] = {"declared": {}, "registered": {}, "base44": {}, "git": {}}
    for row in patiently(lambda: list(Connector.objects.select_related("project").order_by("pk"))):
        slug, type_ = row.project.slug, row.integration_type_id
        if row.is_declared:
            found["declared"].setdefault(slug, {})[type_] = sorted(row.scopes)
        found["registered"].setdefault(slug, {})[type_] = sorted(row.registered_scopes or [])
    for app, types in world.at_base44().items():
        found["base44"][app.removeprefix("app-")] = {type_: sorted(scopes) for type_, scopes in types.items()}
    for slug in world.projects:
        found["git"][slug] = world.in_git(slug)
    return found


def goal(turns: Mapping[str, int]) -> Scopes:
    """What each of the four should be after so many turns of each project."""
    return {slug: wanted(int(slug[1:]), taken) for slug, taken in turns.items()}


def summary(world: World) -> str:
    """How much was done."""
    refreshes = sum(world.provider.server.rotations(slug) for slug in world.projects)
    ended = set(world.projects) - world.provider.server.grants
    return (
        f"{Event.objects.count()} events, {len(world.repo.log())} commits, {refreshes} refreshes, "
        f"{len(world.provider.reused)} of them with a token that was used before, {len(ended)} grants ended by that"
    )


def differences(found: dict[str, Scopes], expected: Scopes) -> list[str]:
    """Where one of the four places is another than it should be."""
    return [
        f"{place}: {slug}/{type_} is {types.get(type_)}, not {scopes}"
        for place, of_place in found.items()
        for slug, expected_types in expected.items()
        for type_, scopes in expected_types.items()
        if (types := of_place.get(slug, {})).get(type_) != scopes
    ]


def faults(world: World, turns: Mapping[str, int], deaths: Sequence[Death]) -> list[str]:
    """Everything that is not as it would be had nothing gone wrong."""
    return [
        *differences(state(world), goal(turns)),
        *(f"not over: {run}" for run in open_runs()),
        *_unrecorded_imports(turns),
        *_unrecorded_steps(),
        *_tokens(world, deaths),
        *_repository(world),
    ]


def _unrecorded_imports(turns: Mapping[str, int]) -> Iterator[str]:
    """Each project's imports on record lead from its first state to its last one, without a gap and none twice."""
    for project in Project.objects.order_by("pk"):
        number, taken = int(project.slug[1:]), turns[project.slug]
        events = Event.objects.filter(verb="project.imported", project=project.pk).order_by("pk")
        now: dict[str, Any] = dict(wanted(number, 0))
        for event in events:
            for type_, before in event.before.items():
                if sorted(before) != now[type_]:
                    yield f"event {event.pk} says that {project}/{type_} was {before}, but it was {now[type_]}"
                now[type_] = sorted(event.after[type_])
        if now != wanted(number, taken):
            yield f"the imports on record leave {project} at {now}"
        if len(events) != taken:
            yield f"{project} was imported {taken} times, and {len(events)} are on record"


def _unrecorded_steps() -> Iterator[str]:
    """Each step that was carried out, or failed, has its event."""
    ended = SyncStep.objects.filter(state__in=["done", "consent", "failed"], run__kind="apply")
    steps = Counter((project, f"step.{state}") for project, state in ended.values_list("run__project_id", "state"))
    events = Event.objects.filter(verb__in=["step.done", "step.consent", "step.failed"])
    told = Counter((project, verb) for project, verb in events.values_list("project_id", "verb"))
    for key in steps | told:
        if steps[key] != told[key]:
            yield f"project {key[0]}: {steps[key]} steps and {told[key]} events {key[1]}"


def _tokens(world: World, deaths: Sequence[Death]) -> Iterator[str]:
    """No refresh token was used twice, but where the answer to its first use died with whoever had asked."""
    yield from world.provider.unexplained(deaths)
    server = world.provider.server
    ended = set(world.projects) - server.grants
    for token in Token.objects.select_related("connector__project"):
        grant, held = token.connector.project.slug, token.refresh_token
        if (token.state == Token.State.NEEDS_CONSENT) != (grant in ended):
            yield f"the token of {grant} says {token.state}, its grant has {'' if grant in ended else 'not '}ended"
        if grant in ended:
            continue
        if held is None or server.grant_of(held.reveal()) != grant:
            yield f"the token of {grant} ({token.state}) is not the one that the provider gave last"
        refreshed = TokenRefresh.objects.filter(token=token.pk, outcome=TokenRefresh.Outcome.OK).count()
        if server.rotations(grant) != refreshed:
            yield f"the token of {grant} was refreshed {server.rotations(grant)} times, {refreshed} in its history"


def _repository(world: World) -> Iterator[str]:
    """Nothing is damaged, and no commit was made twice: each changes something."""
    world.repo.check()
    for entry in world.repo.log()[:-1]:
        if not world.repo.changed(entry.oid):
            yield f"the commit {entry.oid} changes nothing"
