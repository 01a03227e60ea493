"""What browsers are told to refuse, what the portal refuses itself, and that its errors tell nothing."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings as django_settings
from django.contrib import admin
from django.contrib.auth.models import User
from django.http import HttpRequest, HttpResponse
from django.test import Client
from django.urls import path, reverse

from portal import urls as portal_urls  # takes what is never used out of the admin
from portal.upload_limit import AROUND
from tests.test_settings import Load, good_secrets, load  # noqa: F401 - a fixture

ROOT = Path(__file__).resolve().parents[2]
LISTS = [
    reverse_name
    for model in admin.site._registry
    for reverse_name in [f"admin:{model._meta.app_label}_{model._meta.model_name}_changelist"]
]
OUTSIDE = ("/accounts/login/", "/nowhere/", "/api/check/")


def directives(answer: Any) -> dict[str, str]:
    parts = [part.strip().partition(" ") for part in answer["Content-Security-Policy"].split(";")]
    return {name: value for name, _, value in parts}


def assert_limits(answer: Any) -> None:
    assert answer["X-Content-Type-Options"] == "nosniff"
    assert answer["Referrer-Policy"] == "same-origin"
    assert answer["Cross-Origin-Opener-Policy"] == "same-origin"
    assert answer["Cross-Origin-Resource-Policy"] == "same-origin"
    assert "camera=()" in answer["Permissions-Policy"]
    policy = directives(answer)
    assert policy["script-src"] == policy["style-src"] == policy["form-action"] == "'self'"
    assert policy["object-src"] == policy["frame-ancestors"] == "'none'"
    assert "unsafe" not in answer["Content-Security-Policy"]
    assert "http" not in answer["Content-Security-Policy"]


@pytest.mark.parametrize("name", ["admin:index", *LISTS])
def test_every_list_of_the_admin_limits_what_a_browser_does(name: str, client: Client, operator: User) -> None:
    client.force_login(operator)
    answer = client.get(reverse(name), follow=True)
    assert_limits(answer)
    assert answer["X-Frame-Options"] == "DENY"
    assert "no-store" in answer["Cache-Control"]
    page = answer.content.decode()
    assert " style=" not in page
    assert "<style" not in page
    assert "<script>" not in page
    assert " onclick=" not in page


@pytest.mark.django_db
@pytest.mark.parametrize("address", OUTSIDE)
def test_pages_for_strangers_and_errors_limit_it_too(address: str, client: Client) -> None:
    assert_limits(client.get(address))


@pytest.mark.django_db
def test_static_files_are_taken_for_what_they_say_they_are_and_by_this_site_alone(client: Client) -> None:
    answer = client.get("/static/portal/theme.css")
    answer.close()
    assert answer.status_code == 200
    assert (answer["X-Content-Type-Options"], answer["Cross-Origin-Resource-Policy"]) == ("nosniff", "same-origin")


@pytest.mark.django_db
@pytest.mark.parametrize("address", ["/accounts/login/", "/nowhere/"])
def test_browsers_shall_insist_on_https(address: str, client: Client, settings: Any) -> None:
    settings.SECURE_HSTS_SECONDS = 31_536_000
    assert client.get(address, secure=True)["Strict-Transport-Security"].startswith("max-age=31536000")


def test_cookies_are_for_this_host_over_https_alone(load: Load) -> None:  # noqa: F811
    settings = load(**good_secrets())
    for kind in ("SESSION", "CSRF"):
        assert settings[f"{kind}_COOKIE_NAME"].startswith("__Host-")
        assert settings[f"{kind}_COOKIE_SECURE"]
        assert settings[f"{kind}_COOKIE_HTTPONLY"]
        assert settings[f"{kind}_COOKIE_SAMESITE"] == "Lax"
        # Browsers refuse a __Host- cookie that has a domain or another path.
        assert settings.get(f"{kind}_COOKIE_DOMAIN") is None
        assert settings.get(f"{kind}_COOKIE_PATH", "/") == "/"


def test_every_cookie_of_a_login_is_out_of_reach_of_scripts(client: Client, operator: User) -> None:
    client.post("/accounts/login/", {"login": "operator", "password": "password"})
    client.get("/accounts/login/")
    assert client.cookies
    assert [
        name for name, cookie in client.cookies.items() if not cookie["httponly"] or cookie["samesite"] != "Lax"
    ] == []


def test_what_is_far_too_large_is_refused_in_words_before_it_is_read(client: Client, settings: Any) -> None:
    settings.UPLOAD_MAX_BYTES = 1_000_000
    length = str(settings.UPLOAD_MAX_BYTES + AROUND + 1)
    answer = client.generic("POST", "/accounts/login/", b"short", "multipart/form-data", CONTENT_LENGTH=length)
    assert answer.status_code == 413
    assert "At most 1 MB can be uploaded at once" in answer.content.decode()
    assert_limits(answer)


def _break(request: HttpRequest) -> HttpResponse:
    secret = "Zebra-in-a-local-variable"
    raise ValueError(f"Zebra-in-the-text of {secret}")


class BrokenUrls:
    """The portal's addresses, and one whose view fails."""

    urlpatterns = [path("broken/", _break), *portal_urls.urlpatterns]


@pytest.mark.django_db
@pytest.mark.parametrize("address", ["/broken/", "/nowhere/Zebra/"])
def test_an_error_tells_nothing_of_the_inside(address: str, operator: User, settings: Any) -> None:
    settings.ROOT_URLCONF = BrokenUrls
    client = Client(raise_request_exception=False)
    client.force_login(operator)
    answer = client.get(address)
    page = answer.content.decode()
    assert answer.status_code in (404, 500)
    assert [
        word
        for word in ("Zebra", "Traceback", "urlpatterns", "portal/", "DEBUG")
        if word in page.replace("/static/portal/", "")
    ] == []
    assert_limits(answer)


@pytest.mark.django_db
@pytest.mark.parametrize("host", ["evil.example", "localhost.evil.example", "localhost:80@evil.example", ""])
def test_another_host_name_is_not_answered(host: str, client: Client) -> None:
    answer = client.get("/accounts/password/reset/", headers={"Host": host})
    assert answer.status_code in (400, 404)
    assert "evil" not in answer.content.decode()


def test_no_sign_of_debug_is_left_in_production(tmp_path: Path) -> None:
    options = "s.DEBUG, s.TEMPLATES[0]['OPTIONS'].get('debug'), s.WHITENOISE_USE_FINDERS"
    code = f"from django.conf import settings as s; print({options})"
    environment = {"PATH": os.environ["PATH"], "PORTAL_DATA_DIR": str(tmp_path), **good_secrets()}
    environment["DJANGO_SETTINGS_MODULE"] = "portal.settings"
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, env=environment, capture_output=True, text=True, check=True
    )
    assert done.stdout.split() == ["False", "None", "False"]


def test_uploads_are_never_served() -> None:
    assert not django_settings.MEDIA_URL.strip("/")
