"""The portal's side of the refresh benchmark."""

from __future__ import annotations

import datetime as dt
import secrets
import time

from django.utils import timezone

from connectors.flows.refresh import THREADS, refresh_due
from connectors.models import Connector, Sealed, Token, TokenRefresh
from tests.factories import make_oauth_client, make_project, make_type, make_workspace


def prepare(url: str, count: int) -> int:
    """As many connectors with a token each; returns how many threads refresh them."""
    workspace = make_workspace("Bench")
    gmail = make_type("gmail")
    endpoints = {"issuer": url, "authorize_url": f"{url}/auth", "token_url": f"{url}/token"}
    client = make_oauth_client("bench", settings=endpoints)
    now = timezone.now()
    projects = [make_project(f"bench-{number}", workspace=workspace) for number in range(count)]
    connectors = Connector.objects.bulk_create(
        Connector(project=project, integration_type=gmail, scopes=["openid", "email"]) for project in projects
    )
    Token.objects.bulk_create(
        Token(
            connector=connector,
            oauth_client=client,
            access_token=Sealed.of(secrets.token_urlsafe(96)),
            refresh_token=Sealed.of(secrets.token_urlsafe(48)),
            authorised_at=now,
            issued_at=now,
            expires_at=now,
            refresh_at=now,
        )
        for connector in connectors
    )
    return THREADS


def refresh() -> float:
    """Seconds for refreshing every token. Raises RuntimeError unless each was refreshed once."""
    TokenRefresh.objects.all().delete()
    Token.objects.update(refresh_at=timezone.now() - dt.timedelta(seconds=1), refresh_count=0)
    started = time.perf_counter()
    refresh_due()
    seconds = time.perf_counter() - started
    left = Token.objects.exclude(refresh_count=1).count()
    if left or TokenRefresh.objects.filter(outcome=TokenRefresh.Outcome.OK).count() != Token.objects.count():
        raise RuntimeError(f"{left} tokens were not refreshed exactly once")
    return seconds
