"""Django's error report without secrets: it is sent by mail, or shown where DEBUG is on, with every local variable."""

from __future__ import annotations

import re
from types import FrameType
from typing import Any

from django.http import HttpRequest
from django.utils.safestring import SafeString, mark_safe
from django.views.debug import ExceptionReporter, SafeExceptionReporterFilter

from portal.redaction import HIDDEN, redacted

TELLING = ("code", "state", "token")
"""Parts of addresses whose values open something."""

_TYPED = re.compile(r"(?i)secret|token|passw|credential")
"""Names of form fields into which somebody types a secret."""

_SHORTEST = 8
"""Shorter values are ticks and words, and would be found all over the report."""

_SECRETIVE = (
    "allauth.",
    "connectors.admin.forms",
    "connectors.admin.invitation",
    "connectors.admin.oauth_client",
    "connectors.admin.pages.repository",
    "connectors.admin.repository",
    "connectors.admin.sign_in_provider",
    "connectors.admin.workspace",
    "connectors.api.",
    "connectors.core.base44.",
    "connectors.core.crypto",
    "connectors.core.git.",
    "connectors.core.hosts",
    "connectors.core.net",
    "connectors.core.oauth.",
    "connectors.core.webhooks",
    "connectors.flows.",
    "connectors.models.fields",
    "connectors.oauth.",
    "django.forms.",
    "http.client",
    "json.",
    "portal.accounts",
    "portal.join",
    "portal.sign_in.",
    "requests.",
    "subprocess",
    "urllib3.",
)


class ReportFilter(SafeExceptionReporterFilter):
    """Shows no variables of modules that handle secrets, whatever DEBUG says."""

    def get_traceback_frame_variables(self, request: HttpRequest | None, tb_frame: FrameType) -> Any:
        """Django's own, or a word in their place."""
        if str(tb_frame.f_globals.get("__name__", "")).startswith(_SECRETIVE):
            return [(HIDDEN, "This module handles secrets, so its variables are not shown.")]
        return super().get_traceback_frame_variables(request, tb_frame)


class Report(ExceptionReporter):
    """Hides what the request's own address and form carry, wherever in the report it stands."""

    def get_traceback_data(self) -> dict[str, Any]:
        """What the report is made of, cleaned before it is quoted for HTML."""
        return {name: self._cleaned(value) for name, value in super().get_traceback_data().items()}

    def get_traceback_html(self) -> SafeString:
        """The report as a page."""
        return self._clean(super().get_traceback_html())

    def get_traceback_text(self) -> SafeString:
        """The report as text."""
        return self._clean(super().get_traceback_text())

    def _cleaned(self, value: Any) -> Any:
        if isinstance(value, str):
            return self._hide(value)
        if isinstance(value, (list, tuple)):
            return type(value)(self._cleaned(item) for item in value)
        if isinstance(value, dict):
            return {name: self._cleaned(item) for name, item in value.items()}
        return value

    def _clean(self, text: str) -> SafeString:
        return mark_safe(self._hide(text))  # noqa: S308 - Django escaped it, and words were taken out only

    def _hide(self, text: str) -> str:
        for value in self._carried():
            text = text.replace(value, HIDDEN)
        return redacted(text)

    def _carried(self) -> list[str]:
        """The secrets in the request's address and in the form that it sent."""
        if self.request is None:
            return []
        match = self.request.resolver_match
        found = [self.request.GET.get(name) for name in TELLING]
        found += [(match.kwargs if match else {}).get(name) for name in TELLING]
        typed = [value for name, value in self.request.POST.items() if _TYPED.search(name)]
        found += [value.strip() for value in typed if isinstance(value, str) and len(value.strip()) >= _SHORTEST]
        return [value for value in found if isinstance(value, str) and value]
