"""What happened can be found by the request or task that it belongs to: in answers, on record and in logs."""

from __future__ import annotations

import json
import logging
import re
from typing import Any

import pytest
from celery import shared_task
from django.contrib.auth.models import User
from django.http import HttpRequest, HttpResponse
from django.test import Client, RequestFactory
from django.urls import reverse

from connectors.core.trace import Trace, current_trace, traced
from connectors.models import Event, Workspace
from portal.celery import TRACE_HEADER, send_trace
from portal.log_format import JsonFormatter, TextFormatter, TraceFilter
from portal.trace_middleware import TraceMiddleware, address_of, request_id_of


@shared_task
def tell() -> Trace:
    return current_trace()


def record(message: str = "It happened") -> logging.LogRecord:
    made = logging.LogRecord("portal", logging.INFO, "", 0, message, None, None)
    TraceFilter().filter(made)
    return made


def asked(settings: Any, *, behind_proxy: bool, **headers: str) -> HttpRequest:
    settings.BEHIND_PROXY = behind_proxy
    settings.ALLAUTH_TRUSTED_PROXY_COUNT = int(behind_proxy)
    return RequestFactory().get("/", headers=headers, REMOTE_ADDR="192.0.2.7")


@pytest.mark.parametrize("path", ["/healthz", "/accounts/login/", "/nowhere/"])
@pytest.mark.django_db
def test_each_answer_says_the_name_of_its_request(path: str, client: Client) -> None:
    first, second = client.get(path)["X-Request-ID"], client.get(path)["X-Request-ID"]
    assert re.fullmatch(r"[0-9a-f]{32}", first)
    assert first != second


def test_a_visitor_cannot_choose_the_name(settings: Any) -> None:
    assert request_id_of(asked(settings, behind_proxy=False, X_Request_ID="chosen-by-me")) != "chosen-by-me"


def test_the_proxys_name_is_kept(settings: Any) -> None:
    assert request_id_of(asked(settings, behind_proxy=True, X_Request_ID="from-the-proxy.1")) == "from-the-proxy.1"


@pytest.mark.parametrize(
    "strange", ["short", "x" * 65, "with space in it", "line\nbreak-in-it", "<script>alert</script>"]
)
def test_a_name_that_is_none_is_replaced(strange: str, settings: Any) -> None:
    assert re.fullmatch(r"[0-9a-f]{32}", request_id_of(asked(settings, behind_proxy=True, X_Request_ID=strange)))


def test_a_forwarded_address_counts_only_behind_a_proxy(settings: Any) -> None:
    forwarded = {"X_Forwarded_For": "198.51.100.9, 203.0.113.5"}
    assert address_of(asked(settings, behind_proxy=True, **forwarded)) == "203.0.113.5"
    assert address_of(asked(settings, behind_proxy=False, **forwarded)) == "192.0.2.7"


def test_an_address_that_is_none_is_left_out(settings: Any) -> None:
    assert address_of(asked(settings, behind_proxy=True, X_Forwarded_For="somewhere")) == ""


def test_nothing_of_a_request_is_left_for_the_next() -> None:
    def fail(request: HttpRequest) -> HttpResponse:
        raise ValueError(current_trace().request_id)

    with pytest.raises(ValueError, match=r"^[0-9a-f]{32}$"):
        TraceMiddleware(fail)(RequestFactory().get("/"))
    assert current_trace() == Trace()


@pytest.mark.django_db
def test_an_event_names_request_and_address(client: Client, operator: User, workspace: Workspace) -> None:
    client.force_login(operator)
    address = reverse("admin:connectors_workspace_delete", args=[workspace.pk])
    answer = client.post(address, {"post": "yes"}, REMOTE_ADDR="192.0.2.7")
    event = Event.objects.get(verb="workspace.deleted")
    assert (event.request_id, event.address) == (answer["X-Request-ID"], "192.0.2.7")


def test_a_task_belongs_to_the_request_that_sent_it() -> None:
    headers: dict[str, Any] = {}
    with traced(Trace("a-request", "192.0.2.7")):
        send_trace(headers=headers)
    seen = tell.apply(headers=headers, task_id="a-task").get()
    assert headers[TRACE_HEADER] == {"request_id": "a-request", "address": "192.0.2.7"}
    assert seen == Trace("a-request", "192.0.2.7", "a-task")
    assert current_trace() == Trace()


def test_a_task_of_an_older_message_has_a_trace_too() -> None:
    assert tell.apply(task_id="a-task").get() == Trace(task_id="a-task")


def test_log_lines_name_request_task_and_person(rf: RequestFactory) -> None:
    lines = []

    def answer(request: HttpRequest) -> HttpResponse:
        request._cached_user = User(pk=7)  # type: ignore[attr-defined]  # what Django keeps there once it knows
        with traced(Trace("a-request", task_id="a-task")):
            lines.extend([JsonFormatter().format(record()), TextFormatter().format(record())])
        return HttpResponse()

    TraceMiddleware(answer)(rf.get("/"))
    entry = json.loads(lines[0])
    assert (entry["request_id"], entry["task_id"], entry["user_id"]) == ("a-request", "a-task", 7)
    assert lines[1].endswith("INFO portal [request=a-request task=a-task user=7]: It happened")


def test_a_log_line_outside_of_everything_names_nothing() -> None:
    assert set(json.loads(JsonFormatter().format(record()))) == {"time", "level", "logger", "message"}
    assert TextFormatter().format(record()).endswith("INFO portal: It happened")


@pytest.mark.parametrize("form", [JsonFormatter(), TextFormatter()])
def test_a_message_cannot_forge_a_second_line(form: logging.Formatter) -> None:
    assert len(form.format(record("one\r\n2026-01-01 INFO portal: forged")).splitlines()) == 1
