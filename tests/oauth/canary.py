"""A canary for secrets: knows every secret that came by, and finds it again wherever it should not be."""

from __future__ import annotations

import base64
import html
import io
import itertools
import json
import logging
import re
import sys
import zipfile
import zlib
from collections.abc import Collection, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any
from unittest import mock
from urllib.parse import parse_qsl, quote, quote_plus, urlsplit

import redis
import urllib3
from django.conf import settings
from django.contrib import admin
from django.contrib.sessions.models import Session
from django.core.signals import got_request_exception
from django.db import connection
from django.http import HttpRequest
from django.test import Client
from django.test.utils import override_settings
from django.urls import NoReverseMatch, URLPattern, reverse

from connectors.models import Project
from portal.error_report import Report
from portal.log_format import JsonFormatter, TextFormatter
from portal.redaction import RedactingFilter

ExcInfo = tuple[type[BaseException], BaseException, TracebackType | None]

SHORTEST = 16
"""Shorter texts are no secrets: codes of errors, and passwords that tests make up."""

PART = 14
"""So much of either end of a secret counts as the secret."""

OURS = ("connectors", "portal", "urllib3", "requests", "allauth")
"""Loggers whose records must be clean before the portal's filter sees them: it is there for the others."""

SENT = {"code", "code_verifier", "client_secret", "refresh_token", "access_token", "token", "device_code"}
RECEIVED = {"access_token", "refresh_token", "id_token", "device_code"}


class Secrets:
    """The secrets that are known, and every form in which they are looked for."""

    def __init__(self) -> None:
        self.kinds: dict[str, str] = {}

    def add(self, kind: str, text: str) -> str:
        """Notes a secret, and returns it."""
        if len(text) >= SHORTEST:
            self.kinds.setdefault(text, kind)
        return text

    def add_address(self, kind: str, url: str) -> None:
        """Notes what is secret about an address: its long unreadable parts."""
        for part in re.findall(r"[\w-]{16,}", urlsplit(url).path + "?" + urlsplit(url).query):
            self.add(kind, part)

    def marks(self) -> dict[str, str]:
        """What gives each secret away, by kind: either end of each form of it, PART characters long."""
        found: dict[str, str] = {}
        for secret, kind in self.kinds.items():
            for form in forms_of(secret):
                # All identity tokens begin alike.
                ends = {form[-PART:]} if secret.startswith("eyJ") else {form[:PART], form[-PART:]}
                found |= dict.fromkeys(ends, kind)
        return found


def forms_of(secret: str) -> set[str]:
    """The secret as it may be written: as it is, quoted, escaped, encoded."""
    raw = secret.encode()
    forms = {secret, quote(secret, safe=""), quote_plus(secret), json.dumps(secret)[1:-1], html.escape(secret)}
    forms |= {repr(secret)[1:-1], raw.hex()}
    for shift in range(3):  # base64 of something that holds it depends on where it begins
        whole = base64.b64encode(b"\0" * shift + raw)[4 if shift else 0 : -4].decode()
        forms |= {whole, whole.replace("+", "-").replace("/", "_")}
    return {form for form in forms if len(form) >= PART}


class Canary:
    """Keeps what was seen, by place; `leaks` says which secrets are in it."""

    def __init__(self) -> None:
        self.secrets = Secrets()
        self._kept: dict[tuple[str, frozenset[str]], dict[str, str]] = {}
        self.seen: dict[str, int] = {}
        self.reported: set[str] = set()

    def keep(self, place: str, text: str, *, origin: str = "", but: Collection[str] = ()) -> None:
        """Notes the words of a text, each once: pages have most of theirs in common."""
        self.seen[place] = self.seen.get(place, 0) + 1
        words = self._kept.setdefault((place, frozenset(but)), {})
        for word in set(text.split()):
            if len(word) >= PART:
                words.setdefault(word, origin)

    def leaks(self, place: str) -> set[str]:
        """What was found where it should not be: its kind, where it came from, what stands before it."""
        marks, found = self.secrets.marks(), set[str]()
        for (kept, but), words in self._kept.items():
            for word, origin in words.items() if kept == place else ():
                for start in range(len(word) - PART + 1):
                    kind = marks.get(word[start : start + PART])
                    if kind is not None and kind not in but:
                        found.add(f"{kind} in {origin}: {word[max(0, start - 60) : start]}…")
                        break
        return found

    def report(self, request: HttpRequest | None, error: ExcInfo) -> None:
        """Keeps Django's error reports, as shown where DEBUG is on and as mailed where it is off."""
        name = f"{error[0].__name__} at {request.path if request else 'a flow'}"
        template_log = logging.getLogger("django.template")
        self.reported.add(name)
        template_log.disabled = True  # it would write down the report's parts; settings keep it from that
        for debug in (True, False):
            with override_settings(DEBUG=debug):
                report = Report(request, *error, is_email=not debug)
                self.keep("reports", report.get_traceback_html(), origin=name)
                self.keep("reports", report.get_traceback_text(), origin=name)
        template_log.disabled = False

    @contextmanager
    def caught(self) -> Iterator[None]:
        """Takes whatever is raised inside for a report."""
        try:
            yield
        except Exception as error:  # noqa: BLE001 - of every kind
            trace = error.__traceback__
            while trace is not None and str(trace.tb_frame.f_globals["__name__"]).startswith("tests."):
                trace = trace.tb_next  # a test's own variables are nobody's report
            self.report(None, (type(error), error.with_traceback(trace), trace))

    @contextmanager
    def watching(self) -> Iterator[None]:
        """Listens on the wire for secrets, to all loggers, and to errors that no view catches."""

        def on_error(request: HttpRequest | None = None, **_: Any) -> None:
            kind, error, trace = sys.exc_info()
            if kind is not None and error is not None:
                self.report(request, (kind, error, trace))

        with ExitStack() as stack:
            stack.enter_context(tapped(self.secrets))
            stack.enter_context(all_logs(self))
            got_request_exception.connect(on_error)
            stack.callback(got_request_exception.disconnect, on_error)
            yield


class Browser(Client):
    """A browser of which every answer is kept: headers, cookies and body."""

    def __init__(self, canary: Canary) -> None:
        super().__init__(raise_request_exception=False)
        self._canary, self._may_hold = canary, frozenset[str]()

    @contextmanager
    def handed(self, *kinds: str) -> Iterator[None]:
        """Answers inside hand secrets of these kinds to the person, as they must."""
        self._may_hold = frozenset(kinds)
        yield
        self._may_hold = frozenset()

    def request(self, **request: Any) -> Any:
        answer = super().request(**request)
        body = b"".join(answer) if answer.streaming else answer.content
        whole = f"{answer.serialize_headers().decode()}\n{answer.cookies.output()}\n{readable(body)}"
        origin = f"{request['REQUEST_METHOD']} {request['PATH_INFO']} {answer.status_code}"
        self._canary.keep("pages", whole, origin=origin, but=self._may_hold)
        return answer


def readable(body: bytes) -> str:
    """A body as text; a zip's files one after the other."""
    if not body.startswith(b"PK"):
        return body.decode("utf-8", "replace")
    with zipfile.ZipFile(io.BytesIO(body)) as packed:
        return "\n".join(packed.read(name).decode("utf-8", "replace") for name in packed.namelist())


@contextmanager
def tapped(secrets: Secrets) -> Iterator[None]:
    """Notes every secret that the portal sends or is sent, stored or not."""
    urlopen, read = urllib3.HTTPConnectionPool.urlopen, urllib3.HTTPResponse.read1

    def sending(pool: Any, method: str, url: str, body: Any = None, headers: Any = None, **more: Any) -> Any:
        scheme, _, shown = str((headers or {}).get("Authorization", "")).partition(" ")
        secrets.add(f"{scheme} credential", shown)
        form = body.decode("utf-8", "replace") if isinstance(body, bytes) else ""
        for name, value in parse_qsl(f"{form}&{urlsplit(url).query}"):
            if name in SENT:
                secrets.add(name, value)
        return urlopen(pool, method, url, body=body, headers=headers, **more)

    def receiving(answer: Any, *args: Any, **more: Any) -> bytes:
        part = read(answer, *args, **more)
        for name, value in re.findall(rb'"(\w+)"\s*:\s*"([^"]+)"', part):
            if name.decode() in RECEIVED:
                secrets.add(name.decode(), value.decode())
            elif name.decode() == "redirect_url":
                secrets.add_address("consent page of Base44", value.decode())
        return part

    with (
        mock.patch.object(urllib3.HTTPConnectionPool, "urlopen", sending),
        mock.patch.object(urllib3.HTTPResponse, "read1", receiving),
    ):
        yield


class _Listener(logging.Handler):
    """Keeps each record as the libraries made it, and as the portal's two formats write it."""

    def __init__(self, canary: Canary) -> None:
        super().__init__(logging.DEBUG)
        self._canary = canary
        self._formats = (TextFormatter(), JsonFormatter())

    def emit(self, record: logging.LogRecord) -> None:
        made = logging.makeLogRecord(record.__dict__)
        if record.name.startswith(OURS):
            self._canary.keep("log records", logging.Formatter().format(made), origin=record.name)
        RedactingFilter().filter(made)
        for style in self._formats if record.levelno > logging.DEBUG else self._formats[:1]:
            self._canary.keep("log lines", style.format(made), origin=record.name)


@contextmanager
def all_logs(canary: Canary) -> Iterator[None]:
    """Every logger at DEBUG, and nothing held back on the way to the root."""
    root = logging.getLogger()
    known = [logger for logger in root.manager.loggerDict.values() if isinstance(logger, logging.Logger)]
    before = [(logger, logger.level, logger.propagate, logger.disabled) for logger in [root, *known]]
    handlers, root.handlers = root.handlers, [_Listener(canary)]
    for logger in [root, *known]:
        logger.setLevel(logging.DEBUG)
        logger.propagate, logger.disabled = True, False
    connection.force_debug_cursor = True  # SQL goes to the log with its parameters
    try:
        yield
    finally:
        connection.force_debug_cursor = False
        root.handlers = handlers
        for logger, level, propagate, disabled in before:
            logger.setLevel(level)
            logger.propagate, logger.disabled = propagate, disabled


def database(*tables: str) -> Iterator[tuple[str, str]]:
    """Every column of every row of these tables, or of all; sessions in the clear as well."""
    with connection.cursor() as cursor:
        for table in tables or connection.introspection.table_names(cursor):
            cursor.execute(f"SELECT * FROM {connection.ops.quote_name(table)}")  # noqa: S608 - a name of ours
            for row in cursor.fetchall():
                values = (bytes(value) if isinstance(value, memoryview) else value for value in row)
                yield table, " ".join(_plain(value) for value in values)
    for session in Session.objects.all():
        yield "sessions, decoded", str(session.get_decoded())


def broker() -> Iterator[tuple[str, str]]:
    """What lies in the queues, and what is cached."""
    for name, content in itertools.chain(_in_redis() if settings.REDIS_URL else _on_disk()):
        text = _plain(content)
        yield name, text
        for body in re.findall(r'"body": ?"([A-Za-z0-9+/=]+)"', text.replace('\\"', '"')):
            yield name, base64.b64decode(body).decode("utf-8", "replace")


def _on_disk() -> Iterator[tuple[str, bytes]]:
    queue: Any = settings.CELERY_BROKER_TRANSPORT_OPTIONS["data_folder_out"]
    for folder in (Path(queue), settings.PORTAL_DATA_DIR / "cache"):
        for path in folder.rglob("*"):
            if path.is_file():
                content = path.read_bytes()
                packed = content.find(b"x\x9c") if path.suffix == ".djcache" else -1
                yield path.name, content if packed < 0 else zlib.decompress(content[packed:])


def _in_redis() -> Iterator[tuple[str, bytes]]:
    with redis.Redis.from_url(settings.REDIS_URL) as server:
        for key in server.scan_iter(f"*{settings.REDIS_PREFIX}*", count=1000):
            readers = {b"string": server.get, b"list": lambda key: server.lrange(key, 0, -1), b"hash": server.hgetall}
            readers |= {b"set": server.smembers, b"zset": lambda key: server.zrange(key, 0, -1)}
            found = readers[server.type(key)](key)
            yield key.decode(), found if isinstance(found, bytes) else str(found).encode()


def _plain(value: object) -> str:
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)


def addresses() -> Iterator[str]:
    """Every address of the admin, of each row that it can be about."""
    for model, model_admin in admin.site._registry.items():
        keys = list(
            model._default_manager.order_by("-pk").values_list("pk", flat=True)[
                : 2 if model._meta.app_label == "connectors" else 1
            ]
        )
        for pattern in model_admin.get_urls():
            if not isinstance(pattern, URLPattern) or not pattern.name:
                continue
            for args in [[key] for key in keys] if pattern.pattern.converters else [[]]:
                try:
                    yield reverse(f"admin:{pattern.name}", args=args)
                except NoReverseMatch:
                    continue
    yield "/admin/"
    yield from (f"/admin/search/?s={word}" for word in ("crm", "gmail", "idp"))
    yield f"{reverse('admin:connectors_project_export_many')}?ids={','.join(map(str, _projects()))}"


def _projects() -> list[int]:
    return list(Project.objects.values_list("pk", flat=True))


@contextmanager
def broken(table: str, *, reading: bool = False) -> Iterator[None]:
    """Statements that write to a table fail in the database itself, as when a column were missing."""

    def spoil(execute: Any, sql: str, params: Any, many: bool, context: Any) -> Any:
        first = sql.split(" ", 1)[0]
        if f'"{table}"' in sql and (reading or first in ("INSERT", "UPDATE")):
            params = (*(params or ()), "one too many")
        return execute(sql, params, many, context)

    connection.force_debug_cursor = False  # it would count the parameters too
    with connection.execute_wrapper(spoil):
        yield
    connection.force_debug_cursor = True
