"""The frame around the pages: the pinned theme, what takes its place, and pages for when things go wrong."""

from __future__ import annotations

import hashlib
from importlib.metadata import version
from pathlib import Path

import pytest
from django.contrib.auth.models import User
from django.contrib.staticfiles import finders
from django.template.loader import render_to_string
from django.test import Client

ALPINE = "unfold/js/alpine/alpine.js"
ALPINE_SHA256 = "0d18d7f8d7910e2e0212f0f056b12f50bebc3abb7d88d2f7c7cb4c336fe4519a"


def found(path: str) -> Path:
    result = finders.find(path)
    assert isinstance(result, str)
    return Path(result)


def test_unfold_is_the_version_that_portal_js_and_the_templates_were_made_for() -> None:
    assert version("django-unfold") == "0.91.0"


def test_the_build_of_alpine_that_needs_no_eval_takes_the_place_of_unfolds_and_is_unchanged() -> None:
    assert hashlib.sha256(found(ALPINE).read_bytes()).hexdigest() == ALPINE_SHA256


def test_the_small_fonts_take_the_place_of_unfolds_and_the_complete_ones_stay_at_hand() -> None:
    sheet = found("unfold/fonts/inter/styles.css").read_text()
    for weight in ("Regular", "Medium", "SemiBold", "Bold"):
        assert f"Inter-{weight}.latin.woff2" in sheet
        assert found(f"unfold/fonts/inter/Inter-{weight}.woff2").exists()


@pytest.mark.parametrize("template", ["403.html", "403_csrf.html", "404.html", "500.html", "503.html"])
def test_error_pages_need_neither_a_request_nor_a_database(template: str) -> None:
    page = render_to_string(template)
    assert "Go to the dashboard" in page
    assert " style=" not in page


@pytest.mark.parametrize("path", ["/admin/", "/admin/connectors/connector/", "/accounts/password/change/"])
def test_pages_allow_scripts_and_styles_of_the_portal_alone(path: str, operator: User, client: Client) -> None:
    client.force_login(operator)
    answer = client.get(path)
    policy = dict(part.strip().split(" ", 1) for part in answer["Content-Security-Policy"].split(";"))
    assert policy["script-src"] == policy["style-src"] == "'self'"
    assert "<style" not in answer.content.decode()
