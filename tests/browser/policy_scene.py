"""Policies in use: one that blocks, one that asks for approval, one that is off, and exceptions in every state."""

from __future__ import annotations

import datetime as dt

from connectors.flows import policies
from connectors.models import PolicyException, PolicyRule, Project
from tests.factories import make_exception, make_rule

SEND = "https://www.googleapis.com/auth/gmail.send"


def make_policies(now: dt.datetime) -> tuple[PolicyRule, PolicyException]:
    """The rule and the exception that show most."""
    desk, portal = Project.objects.get(slug="support-desk"), Project.objects.get(slug="customer-portal")
    sending = make_rule(
        "Nobody sends mail in our name",
        effect="approval",
        explanation="Mail to customers goes through the mail service. Ask the platform team for an address there.",
        environments=["production"],
        scope_patterns=[SEND],
    )
    make_rule("Critical scopes stay out of production", environments=["production"], min_sensitivity=3)
    make_rule("Our own accounts only", effect="warn", account_domains=["northwind.example"], is_enabled=False)
    make_exception(sending, portal, type_slug="gmail", scope=SEND, expires_at=now + dt.timedelta(days=12))
    make_exception(sending, portal, state="declined", decision_note="Use the mail service.", decided_at=now)
    waiting = make_exception(
        sending,
        desk,
        type_slug="gmail",
        scope=SEND,
        reason="The support desk answers tickets by mail until its move to the mail service in spring.",
        state="requested",
    )
    policies.recheck_all()
    return sending, waiting
