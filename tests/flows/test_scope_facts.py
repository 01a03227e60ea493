"""What is known of scopes: the catalogue's word where the team says nothing."""

from __future__ import annotations

import pytest

from connectors.flows.scope_facts import ScopeFacts
from connectors.models import Sensitivity

pytestmark = pytest.mark.django_db


@pytest.mark.parametrize(
    ("type_", "scopes", "expected"),
    [
        ("github", ["read:user", "repo"], Sensitivity.CRITICAL),
        ("gmail", ["email"], Sensitivity.LOW),
        ("gmail", ["unheard:of"], None),
        ("google_photos", ["email"], None),
        ("slack", [], None),
    ],
)
def test_the_gravest_known_sensitivity_counts(type_: str, scopes: list[str], expected: Sensitivity | None) -> None:
    assert ScopeFacts().highest(type_, scopes) is expected


def test_unknown_scopes_are_named() -> None:
    known = "https://www.googleapis.com/auth/gmail.send"
    assert ScopeFacts().unknown("gmail", ["email", "unheard:of", known]) == ("unheard:of",)
