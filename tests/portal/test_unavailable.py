"""What people see while a server that the portal needs is away."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from django.contrib.auth.models import User
from django.db import OperationalError, connection
from django.test import Client, override_settings

from connectors.models import Connector, Project
from tests.factories import make_connector

NOBODY_LISTENS = "redis://127.0.0.1:1/0"


@pytest.fixture
def _no_redis() -> Iterator[None]:
    away = {"BACKEND": "django.core.cache.backends.redis.RedisCache", "LOCATION": NOBODY_LISTENS}
    wrong_ones = {"login_failed": "10/m/ip"}
    with override_settings(CACHES={"default": away}, REDIS_URL=NOBODY_LISTENS, ACCOUNT_RATE_LIMITS=wrong_ones):
        yield


@pytest.fixture
def visitor() -> Client:
    """A browser that shows error pages."""
    return Client(raise_request_exception=False)


@pytest.fixture
def connector(project: Project) -> Connector:
    return make_connector(project, "gmail", ["a"])


@pytest.mark.usefixtures("_no_redis")
@pytest.mark.parametrize("path", ["/admin/", "/admin/connectors/connector/", "/admin/connectors/token/"])
def test_pages_come_without_redis(path: str, operator: User, connector: Connector, visitor: Client) -> None:
    visitor.force_login(operator)
    assert visitor.get(path).status_code == 200


@pytest.mark.usefixtures("_no_redis")
def test_a_password_is_not_taken_without_redis_which_counts_the_wrong_ones(operator: User, visitor: Client) -> None:
    answer = visitor.post("/accounts/login/", {"login": operator.username, "password": "password"})
    assert (answer.status_code, answer["Retry-After"]) == (503, "10")
    assert "Nothing was done with your request" in answer.content.decode()
    assert "_auth_user_id" not in visitor.session


@pytest.mark.parametrize(("path", "said"), [("/admin/", "<h1>"), ("/api/check/", "can't reach a server")])
def test_a_database_that_went_away_is_not_called_a_fault_of_the_portal(
    path: str, said: str, operator: User, visitor: Client
) -> None:
    visitor.force_login(operator)

    def gone(*_: object) -> None:
        raise OperationalError("server closed the connection unexpectedly")

    with connection.execute_wrapper(gone):
        answer = visitor.post(path, headers={"Authorization": "Bearer 1"})
    assert answer.status_code == 503
    assert said in answer.content.decode()
    assert "server closed" not in answer.content.decode()


def test_every_other_fault_is_ours(operator: User, visitor: Client) -> None:
    visitor.force_login(operator)

    def fault(*_: object) -> None:
        raise RuntimeError("a fault")

    with connection.execute_wrapper(fault):
        answer = visitor.get("/admin/")
    assert answer.status_code == 500
    assert "on our side" in answer.content.decode()
