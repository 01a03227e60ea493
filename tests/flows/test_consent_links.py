"""Consent links: for one person, one success, a few days; the portal itself cannot look one up."""

from __future__ import annotations

import datetime as dt
from concurrent.futures import ThreadPoolExecutor

import pytest
from django.contrib.auth.models import User
from django.db import connection
from django.utils import timezone

from connectors.core.actor import Actor, Door
from connectors.core.errors import PortalError, Refused
from connectors.flows.consent_links import (
    Asked,
    LinkRefused,
    claim,
    make_link,
    make_links,
    open_link,
    settle,
    withdraw,
)
from connectors.models import Authorisation, Connector, ConsentLink, Event, Project, Sealed
from tests.factories import SHELL, make_connector, make_oauth_client, make_user

Kind = ConsentLink.Kind


@pytest.fixture
def connector(project: Project) -> Connector:
    return make_connector(project, "gmail", ["https://www.googleapis.com/auth/gmail.readonly"])


@pytest.fixture
def secret(connector: Connector) -> str:
    return make_link(connector, Kind.HOSTED, SHELL, note="for Bea").get_secret_value()


def opened(secret: str) -> ConsentLink:
    return open_link(secret, timezone.now())


def refusal(secret: str, *, later: dt.timedelta = dt.timedelta(0)) -> str:
    with pytest.raises(LinkRefused) as caught:
        open_link(secret, timezone.now() + later)
    return caught.value.why


def test_a_link_opens_what_it_was_made_for(secret: str, connector: Connector) -> None:
    assert opened(secret).connector == connector


def test_a_link_that_nobody_made_is_unknown(secret: str) -> None:
    assert refusal(secret[:-1]) == "unknown"
    assert refusal("") == "unknown"


def test_a_link_ends_with_its_time(secret: str) -> None:
    assert refusal(secret, later=dt.timedelta(days=3, seconds=1)) == "expired"


def test_nobody_gets_a_link_for_longer_than_thirty_days(connector: Connector) -> None:
    made = make_link(connector, Kind.HOSTED, SHELL, lifetime=dt.timedelta(days=400)).get_secret_value()
    assert refusal(made, later=dt.timedelta(days=30, seconds=1)) == "expired"


def test_success_uses_a_link_up(secret: str, stranger: User) -> None:
    link = opened(secret)
    claim(link, stranger)
    settle(link, True, "Connected.")
    assert refusal(secret) == "used"
    assert Event.objects.get(verb="consent_link.used").actor_label == "stranger"


def test_a_link_is_used_once_however_often_it_is_settled(secret: str, stranger: User) -> None:
    link = opened(secret)
    claim(link, stranger)
    for _ in range(3):
        settle(link, True, "Connected.")
    assert Event.objects.filter(verb="consent_link.used").count() == 1


def test_a_failure_keeps_a_link_open_for_the_same_person(secret: str, stranger: User) -> None:
    link = opened(secret)
    claim(link, stranger)
    settle(link, False, "It was denied.")
    claim(opened(secret), stranger)
    assert opened(secret).message == "It was denied."


def test_whoever_comes_second_is_told_who_was_first(secret: str, stranger: User, operator: User) -> None:
    claim(opened(secret), stranger)
    with pytest.raises(Refused, match="stranger has opened this link already"):
        claim(opened(secret), operator)
    assert opened(secret).claimed_by == stranger


def test_a_link_whose_first_person_is_gone_is_nobody_elses(secret: str, stranger: User, operator: User) -> None:
    claim(opened(secret), stranger)
    stranger.delete()
    with pytest.raises(Refused, match="Somebody has opened this link already"):
        claim(opened(secret), operator)


def test_a_withdrawn_link_opens_nothing(secret: str, stranger: User) -> None:
    link = opened(secret)
    assert withdraw(link, SHELL)
    assert not withdraw(link, SHELL)
    assert refusal(secret) == "withdrawn"
    with pytest.raises(LinkRefused):
        claim(link, stranger)


def test_withdrawing_ends_the_trip_that_somebody_is_on(secret: str, stranger: User, connector: Connector) -> None:
    link, now = opened(secret), timezone.now()
    trip = Authorisation.objects.create(
        state_hash="x",
        connector=connector,
        oauth_client=make_oauth_client(),
        consent_link=link,
        user=stranger,
        verifier=Sealed(),
        created_at=now,
        expires_at=now + dt.timedelta(minutes=15),
    )
    withdraw(link, SHELL)
    trip.refresh_from_db()
    assert trip.expires_at <= timezone.now()


def test_a_newer_link_for_the_same_takes_the_place_of_the_older(secret: str, connector: Connector) -> None:
    newer = make_link(connector, Kind.HOSTED, SHELL).get_secret_value()
    assert refusal(secret) == "withdrawn"
    assert opened(newer).connector == connector


def test_every_step_goes_on_record(secret: str, stranger: User) -> None:
    link = opened(secret)
    claim(link, stranger)
    claim(link, stranger)
    withdraw(link, SHELL)
    verbs = Event.objects.filter(verb__startswith="consent_link.").order_by("id").values_list("verb", flat=True)
    assert list(verbs) == ["consent_link.made", "consent_link.opened", "consent_link.withdrawn"]


def test_the_link_itself_is_in_no_row_and_no_event(secret: str, stranger: User) -> None:
    claim(opened(secret), stranger)
    stored = [repr(row) for model in (ConsentLink, Event) for row in model.objects.values_list()]
    assert stored
    assert not [row for row in stored if secret in row]


def test_the_maker_is_remembered(connector: Connector, operator: User) -> None:
    made = make_link(connector, Kind.HOSTED, Actor("operator", Door.ADMIN, operator.pk), note="for Bea")
    link = opened(made.get_secret_value())
    assert (link.created_by, link.note) == (operator, "for Bea")


@pytest.mark.parametrize("values", [{"is_declared": False}, {"type_": "stripe"}])
def test_no_link_is_made_where_nobody_could_consent(project: Project, values: dict[str, object]) -> None:
    connector = make_connector(project, **{"type_": "gmail", **values})  # type: ignore[arg-type]
    with pytest.raises(Refused):
        make_link(connector, Kind.HOSTED, SHELL)


def test_a_link_for_the_portals_own_token_needs_a_client_that_serves_it(connector: Connector) -> None:
    for oauth_client in (None, make_oauth_client(provider="slack")):
        with pytest.raises(PortalError):
            make_link(connector, Kind.PORTAL, SHELL, oauth_client=oauth_client)
    assert make_link(connector, Kind.PORTAL, SHELL, oauth_client=make_oauth_client(provider="google"))


def test_of_many_links_one_that_is_refused_holds_up_no_other(project: Project, connector: Connector) -> None:
    stripe = make_connector(project, "stripe")
    refused, made = make_links([Asked(stripe, Kind.HOSTED), Asked(connector, Kind.HOSTED)], SHELL)
    assert "no consent page" in refused.problem
    assert made.secret is not None
    assert opened(made.secret.get_secret_value()) == made.link


@pytest.mark.django_db(transaction=True)
def test_of_eight_people_who_start_at_once_one_has_the_link(connector: Connector) -> None:
    link = opened(make_link(connector, Kind.HOSTED, SHELL).get_secret_value())
    people = [make_user(f"person-{number}") for number in range(8)]

    def starts(person: User) -> bool:
        try:
            claim(ConsentLink.objects.get(pk=link.pk), person)
        except Refused:
            return False
        finally:
            connection.close()
        return True

    with ThreadPoolExecutor(8) as pool:
        claimed = list(pool.map(starts, people))
    link.refresh_from_db()
    assert claimed.count(True) == 1
    assert link.claimed_by == people[claimed.index(True)]
    assert Event.objects.filter(verb="consent_link.opened").count() == 1
