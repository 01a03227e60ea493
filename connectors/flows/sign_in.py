"""End what a sign-in began: somebody's sessions. Who is let in is `flows.admit`'s to say."""

from __future__ import annotations

from allauth.usersessions.models import UserSession
from django.contrib.auth.models import User
from django.db import transaction

from connectors.core.actor import Actor
from connectors.flows.events import record_event


@transaction.atomic
def end_sessions(user: User, actor: Actor, *, but: str = "") -> int:
    """Logs the person out everywhere, except of the session with the key `but`; how many sessions that ended."""
    sessions = list(UserSession.objects.filter(user=user).exclude(session_key=but))
    for session in sessions:
        session.end()
    if sessions:
        record_event(actor, "login.sessions_ended", user, after={"sessions": len(sessions)})
    return len(sessions)
