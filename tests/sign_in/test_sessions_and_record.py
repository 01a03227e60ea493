"""Sessions that one sees and ends, and what goes on record of coming and going."""

from __future__ import annotations

import secrets
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import Client
from django.urls import URLPattern, URLResolver, get_resolver

from connectors.flows.sign_in import end_sessions
from connectors.models import Event
from portal.sign_in.sessions import SEEN, device
from tests.factories import SHELL

pytestmark = pytest.mark.django_db
FIREFOX = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"
SAFARI = (
    "Mozilla/5.0 (iPhone; CPU iPhone OS 18_5 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.5 "
    "Mobile/15E148 Safari/604.1"
)


def log_in(user: User, agent: str = FIREFOX, address: str = "192.0.2.7") -> Client:
    client = Client(headers={"User-Agent": agent}, REMOTE_ADDR=address)
    client.post("/accounts/login/", {"login": user.username, "password": "password"})
    return client


def is_in(client: Client) -> bool:
    return client.get("/accounts/sessions/").status_code == 200


def verbs() -> list[str]:
    return list(Event.objects.order_by("pk").values_list("verb", flat=True))


def test_the_list_names_devices_and_addresses_and_marks_this_session(operator: User) -> None:
    log_in(operator, SAFARI, "198.51.100.4")
    page = log_in(operator).get("/accounts/sessions/").content.decode()
    assert "Safari on iPhone" in page
    assert "198.51.100.4" in page
    assert page.index("Firefox on Linux") < page.index("This one") < page.index("Safari on iPhone")


def test_all_other_sessions_end_at_once_and_this_one_stays(operator: User) -> None:
    here, there = log_in(operator), log_in(operator)
    here.post("/accounts/sessions/")
    assert (is_in(here), is_in(there)) == (True, False)
    assert Event.objects.get(verb="login.sessions_ended").after == {"sessions": 1}


def test_one_session_ends_alone(operator: User) -> None:
    here, there, third = log_in(operator), log_in(operator), log_in(operator)
    [row] = [
        row
        for row in here.get("/accounts/sessions/").context["rows"]
        if row["row"].session_key == there.session.session_key
    ]
    here.post(f"/accounts/sessions/{row['row'].pk}/end/")
    assert (is_in(here), is_in(there), is_in(third)) == (True, False, True)


def test_nobody_ends_the_session_of_somebody_else(operator: User, viewer: User) -> None:
    theirs = log_in(operator)
    [row] = theirs.get("/accounts/sessions/").context["rows"]
    assert log_in(viewer).post(f"/accounts/sessions/{row['row'].pk}/end/").status_code == 404
    assert is_in(theirs)


def test_an_administrator_ends_all_sessions_of_a_person(viewer: User) -> None:
    first, second = log_in(viewer), log_in(viewer)
    assert end_sessions(viewer, SHELL) == 2
    assert (is_in(first), is_in(second)) == (False, False)


def test_when_a_session_was_last_seen_is_written_every_few_minutes_only(operator: User) -> None:
    client = log_in(operator)
    before = client.session[SEEN]
    client.get("/accounts/sessions/")
    assert client.session[SEEN] == before
    session = client.session
    session[SEEN] = before - 600
    session.save()
    client.get("/accounts/sessions/", REMOTE_ADDR="203.0.113.9")
    assert client.session[SEEN] > before - 600
    [row] = client.get("/accounts/sessions/").context["rows"]
    assert row["row"].ip == "203.0.113.9"


def test_a_new_password_ends_the_other_sessions(operator: User) -> None:
    here, there = log_in(operator), log_in(operator)
    new = secrets.token_urlsafe(16)
    answer = here.post("/accounts/password/change/", {"oldpassword": "password", "password1": new, "password2": new})
    assert answer.status_code == 302
    assert (is_in(here), is_in(there)) == (True, False)
    assert {"login.password_changed", "login.sessions_ended"} <= set(verbs())


def test_a_password_that_is_too_short_is_refused(operator: User) -> None:
    here = log_in(operator)
    here.post("/accounts/password/change/", {"oldpassword": "password", "password1": "Zq7pL2", "password2": "Zq7pL2"})
    assert "login.password_changed" not in verbs()


def test_coming_and_going_are_on_record_with_the_persons_address(operator: User) -> None:
    log_in(operator).post("/accounts/logout/")
    came, went = Event.objects.order_by("pk")
    assert (came.verb, came.after, came.user_id) == ("login.succeeded", {"how": "password"}, operator.pk)
    assert (went.verb, went.user_id) == ("login.logged_out", operator.pk)


def test_the_admins_own_logout_goes_the_same_way(operator: User) -> None:
    client = log_in(operator)
    client.post("/admin/logout/")
    assert not is_in(client)
    assert verbs()[-1] == "login.logged_out"


def test_a_wrong_password_is_on_record_with_the_person_and_without_what_was_typed(operator: User) -> None:
    typed = secrets.token_urlsafe(12)
    Client().post("/accounts/login/", {"login": operator.username, "password": typed})
    event = Event.objects.get()
    assert (event.verb, event.target_id, event.user_id) == ("login.failed", str(operator.pk), None)
    assert typed not in str(Event.objects.values())


def test_a_password_that_was_typed_as_the_name_is_not_kept(operator: User) -> None:
    typed = secrets.token_urlsafe(12)
    Client().post("/accounts/login/", {"login": typed, "password": "x"})
    assert Event.objects.get().verb == "login.failed"
    assert typed not in str(Event.objects.values())


@pytest.mark.parametrize(
    ("agent", "words"),
    [(FIREFOX, "Firefox on Linux"), (SAFARI, "Safari on iPhone"), ("curl/8.5", "curl"), ("", "Unknown browser")],
)
def test_browsers_are_called_as_people_call_them(agent: str, words: str) -> None:
    assert device(agent) == words


def addresses(patterns: Any, before: str = "") -> list[str]:
    found = []
    for entry in patterns:
        if isinstance(entry, URLResolver):
            found += addresses(entry.url_patterns, before + str(entry.pattern))
        elif isinstance(entry, URLPattern):
            found.append(before + str(entry.pattern))
    return found


LOGS_IN = {
    "accounts/login/",
    "accounts/2fa/authenticate/",
    "accounts/2fa/webauthn/login/",
    "accounts/sign-in/<slug:slug>/",
    "accounts/sign-in/<slug:slug>/callback/",
    "admin/login/",
}
"""Every address that can end with somebody logged in; admin/login/ leads to the first."""


def test_there_is_no_second_door() -> None:
    every = addresses(get_resolver().url_patterns)
    doors = {
        path for path in every if "login" in path or "sign-in/" in path or "authenticate" in path or "signup" in path
    }
    doors = {path for path in doors if "reauthenticate" not in path and "signinprovider" not in path}
    assert doors - {"accounts/signup/"} == LOGS_IN | {path for path in doors if path.startswith("admin/connectors/")}


def test_the_admins_login_leads_to_allauths_and_takes_no_password(operator: User, client: Client) -> None:
    answer = client.post("/admin/login/", {"username": operator.username, "password": "password"})
    assert answer["Location"].startswith("/accounts/login/")
    assert "_auth_user_id" not in client.session


def test_nobody_signs_up(client: Client) -> None:
    client.post(
        "/accounts/signup/", {"username": "new", "email": "new@example.com", "password1": secrets.token_urlsafe(16)}
    )
    assert not User.objects.exists()
