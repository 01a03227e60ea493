"""An error on the way to a repository's host: its report shows where, and not with which token."""

from __future__ import annotations

import secrets
import sys
from pathlib import Path

import pytest
from django.test import override_settings
from pydantic import SecretStr

from connectors.core.git import Limits
from connectors.core.git.program import run
from connectors.core.hosts import HostError, host_for
from connectors.core.net import Allowed
from portal.error_report import Report

TOKEN = secrets.token_urlsafe(32)
KINDS = ("github", "gitlab", "gitea")


@pytest.mark.parametrize("kind", KINDS)
@override_settings(DEBUG=True)
def test_the_report_of_a_failed_call_holds_no_token(kind: str) -> None:
    host = host_for(kind, "http://127.0.0.1:9/acme/shop.git", "", SecretStr(TOKEN), Allowed.of(["127.0.0.1"]))
    try:
        host.open("branch", "main", "title", "body")
    except HostError:
        report = Report(None, *sys.exc_info()).get_traceback_html()
    assert "_connect" in report
    assert TOKEN not in report


@override_settings(DEBUG=True)
def test_the_report_of_a_program_that_could_not_be_started_holds_none_of_what_it_was_told(tmp_path: Path) -> None:
    try:
        run(["git"], folder=tmp_path, told={"VALUE": TOKEN, "GIT_DIR": "a\0b"}, limits=Limits())
    except ValueError:
        report = Report(None, *sys.exc_info()).get_traceback_html()
    assert "_execute_child" in report
    assert TOKEN not in report
