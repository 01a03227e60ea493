"""Asks in a template whether the person may do something at one project; `perms` knows only whether anywhere."""

from __future__ import annotations

from typing import Any

from django import template

from connectors.models import Project
from connectors.models.visibility import may

register = template.Library()


@register.simple_tag(takes_context=True)
def may_at(context: dict[str, Any], codename: str, project: int) -> bool:
    """`{% may_at "add_policyexception" note.project as may_ask %}`: whether they may there; each answer is kept."""
    return may(context["request"].user, f"connectors.{codename}", Project(pk=project))
