"""Choosing a person or a group for a role: by whoever gives roles, who need not be allowed to see accounts."""

from __future__ import annotations

from typing import Any

from django import forms
from django.contrib.admin.views.autocomplete import AutocompleteJsonView
from django.contrib.auth.models import Group, User
from django.db.models import QuerySet
from django.http import HttpRequest

from connectors.admin.base import ForgivingAutocomplete
from connectors.models.visibility import may

GIVE = "connectors.add_membership"
FIELDS = ("user", "group")


def people_offered() -> QuerySet[User]:
    """Those to whom a role can be given: the portal's members of staff."""
    return User.objects.filter(is_active=True, is_staff=True).order_by("username")


def name_in_list(person: User | Group) -> str:
    """How somebody is offered: enough to tell colleagues of the same name apart."""
    if isinstance(person, Group):
        return person.name
    parts = [person.get_full_name(), person.email]
    more = ", ".join(part for part in parts if part)
    return f"{person.get_username()} ({more})" if more else person.get_username()


class PeopleSelect(ForgivingAutocomplete):
    """Looks people up at the membership's own address: Django's asks for the permission to see accounts."""

    url_name = "%s:connectors_membership_people"


class PeopleField(forms.ModelChoiceField):  # type: ignore[type-arg]
    """A person or a group, by name and address."""

    def label_from_instance(self, obj: Any) -> str:
        return name_in_list(obj)


class PeopleChoices(AutocompleteJsonView):
    """Answers what `PeopleSelect` asks: names and addresses of staff, names of groups, and nothing else of them."""

    def has_perm(self, request: HttpRequest, obj: Any = None) -> bool:
        """Whoever gives roles anywhere, and for these two fields only."""
        return self.source_field.name in FIELDS and may(request.user, GIVE)

    def get_queryset(self) -> QuerySet[Any]:
        found = people_offered() if self.source_field.name == "user" else Group.objects.order_by("name")
        term = self.term.replace("\0", "")
        rows, duplicates = self.model_admin.get_search_results(self.request, found, term)
        return rows.distinct() if duplicates else rows

    def serialize_result(self, obj: Any, to_field_name: str) -> dict[str, str]:
        return {"id": str(obj.pk), "text": name_in_list(obj)}
