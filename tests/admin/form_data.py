"""Fills in the admin's forms as a browser does: from what the page shows."""

from __future__ import annotations

from typing import Any

from django.test import Client
from django.urls import reverse

from connectors.models import Event


def address(model: str, page: str, pk: object = None) -> str:
    """The address of an admin page of ours, such as `connector`, `change`."""
    return reverse(f"admin:connectors_{model}_{page}", args=[] if pk is None else [pk])


def shown(browser: Client, path: str) -> dict[str, Any]:
    """What the page's form would post if nobody touched it."""
    form = browser.get(path).context["adminform"].form
    data: dict[str, Any] = {}
    for name, field in form.fields.items():
        value = form[name].value()
        if name == "connection_config":
            data |= {f"{name}.{key}": item for key, item in (value or {}).items()}
        elif name == "scopes":
            data[name] = "\n".join(value or [])
        elif value not in (None, False) and not field.disabled:
            data[name] = value
    return data


def save(browser: Client, model: str, pk: object = None, **typed: Any) -> Any:
    """Opens the form, types and saves; follows to the next page, where the messages are."""
    path = address(model, "add" if pk is None else "change", pk)
    return browser.post(path, {**shown(browser, path), **typed}, follow=True)


def errors(answer: Any) -> dict[str, list[str]]:
    """What the form that came back says is wrong, by field; {} when it was taken."""
    if "adminform" not in answer.context or answer.redirect_chain:
        return {}
    found = answer.context["adminform"].form.errors
    return {name: [str(text) for text in texts] for name, texts in found.items()}


def told(answer: Any) -> str:
    """All messages of the page, one per line."""
    return "\n".join(str(message) for message in answer.context["messages"])


def last_event() -> Event:
    """The newest line of the record."""
    return Event.objects.latest("id")
