"""Whatever one person does alone, and in whatever order: without a second one nothing that needs approval is done."""

from __future__ import annotations

from contextlib import suppress

import pytest
from django.contrib.auth.models import User
from django.utils import timezone
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.django import TestCase

from connectors.core.errors import Refused
from connectors.flows.apply import ask_to_apply, queue_apply
from connectors.flows.approval_decisions import decide, withdraw
from connectors.flows.approvals import check
from connectors.flows.declare import declare
from connectors.flows.plan import stored_plan
from connectors.models import Approval, Event, Project, SyncRun
from connectors.models.approval import Subject
from tests.factories import make_connector, make_demand, make_project
from tests.flows.approving import actor, member

STEPS = ("ask", "narrow", "widen", "approve", "decline", "withdraw", "apply", "apply_old", "use")
SCOPES = {"narrow": ["chat:write"], "widen": ["chat:write", "users:read"]}


class Scene:
    """A project in production with a plan, and the plans that its people were shown."""

    def __init__(self) -> None:
        make_demand("plan")
        self.project: Project = make_project(
            "shop", environment="production", synced_at=timezone.now(), stripe_mode="none"
        )
        make_connector(self.project, "slackbot", ["chat:write"])
        self.plans = [stored_plan(self.project)]

    def act(self, step: str, user: User) -> None:
        """One thing that this person tries; what is refused is refused."""
        with suppress(Refused):
            self._act(step, user)

    def _act(self, step: str, user: User) -> None:
        who, row = actor(user), Approval.objects.first()
        plan = self.plans[0 if step == "apply_old" else -1]
        assert plan is not None
        if step in SCOPES:
            declare(self.project, "slackbot", SCOPES[step], {}, who)
            self.plans.append(stored_plan(self.project))
        elif step == "ask":
            ask_to_apply(self.project, plan, [], who, "Because.")
        elif step in ("apply", "apply_old"):
            queue_apply(self.project, plan, [], who)
        elif row is not None and step in ("approve", "decline"):
            decide(row, user, who, approve=step == "approve", note="So.")
        elif row is not None and step == "withdraw":
            withdraw(row, user, who)
        elif row is not None:
            check(Subject.PLAN, self.project, row.fingerprint, who)

    @property
    def is_applied(self) -> bool:
        return SyncRun.objects.exists() or Event.objects.filter(verb="approval.used").exists()


class Alone(TestCase):
    """A case for each kind of person: hypothesis needs a transaction for each example."""

    @settings(max_examples=25, deadline=None)
    @given(steps=st.lists(st.sampled_from(STEPS), max_size=12))
    def test_an_owner_alone_applies_nothing(self, steps: list[str]) -> None:
        scene = Scene()
        olga = member("olga", "owner", scene.project)
        for step in steps:
            scene.act(step, olga)
        assert not scene.is_applied

    @settings(max_examples=25, deadline=None)
    @given(steps=st.lists(st.tuples(st.sampled_from(STEPS), st.booleans()), max_size=12))
    def test_two_owners_apply_only_what_the_other_one_approved(self, steps: list[tuple[str, bool]]) -> None:
        scene = Scene()
        olga, otto = (member(name, "owner", scene.project) for name in ("olga", "otto"))
        for step, is_olga in steps:
            scene.act(step, olga if is_olga else otto)
        for event in Event.objects.filter(verb="approval.used"):
            row = Approval.objects.get(pk=event.target_id)
            assert row.decided_by_id not in (row.asked_by_id, event.user_id, None)
        assert SyncRun.objects.count() <= Event.objects.filter(verb="approval.used").count()


@pytest.mark.django_db
def test_the_steps_can_apply_with_two_people() -> None:
    scene = Scene()
    olga, otto = (member(name, "owner", scene.project) for name in ("olga", "otto"))
    for step, user in (("ask", olga), ("approve", otto), ("apply", olga)):
        scene.act(step, user)
    assert scene.is_applied
