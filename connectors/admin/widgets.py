"""Form widgets for scopes and connection settings."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from django import forms
from django.core.exceptions import ValidationError
from django.utils.translation import gettext_lazy as _
from unfold.widgets import UnfoldAdminPasswordWidget, UnfoldAdminTextareaWidget, UnfoldAdminTextInputWidget

from connectors.core.catalog import load_catalog
from connectors.core.scopes import tidy
from connectors.flows.scope_facts import ScopeFacts
from connectors.models.project import validate_tags
from connectors.models.workspace import validate_domains


def catalogue_of(type_: str) -> list[dict[str, Any]]:
    """The scopes that the picker offers for a type, the least sensitive first; last those that the team has added."""
    facts, offered = ScopeFacts(), load_catalog().scopes_for(type_)
    shipped = [
        _offer(
            facts, type_, scope.name, access=scope.access.value, deprecated=scope.deprecated, aliases=[*scope.aliases]
        )
        for scope in sorted(offered, key=lambda scope: facts.sensitivity(type_, scope.name) or 0)
    ]
    return [*shipped, *(_offer(facts, type_, name) for name in facts.added(type_))]


def _offer(facts: ScopeFacts, type_: str, name: str, **known: Any) -> dict[str, Any]:
    level = facts.sensitivity(type_, name)
    return {
        "name": name,
        "title": facts.title(type_, name) or name,
        "note": facts.note(type_, name),
        "sensitivity": "" if level is None else level.name.lower(),
        "access": "",
        "deprecated": False,
        "aliases": [],
        **known,
    }


class ScopesWidget(forms.Textarea):
    """One scope per line in a textarea; with JavaScript a searchable picker over the catalogue (scopes.js)."""

    template_name = "connectors/widgets/scopes.html"

    def __init__(self, type_: str = "", catalogue_url: str = "") -> None:
        super().__init__()
        self.type, self.catalogue_url = type_, catalogue_url

    def format_value(self, value: Any) -> Any:
        return value if isinstance(value, list) else str(value or "").splitlines()

    def get_context(self, name: str, value: Any, attrs: dict[str, Any] | None) -> dict[str, Any]:
        context: dict[str, Any] = super().get_context(name, value, attrs)
        context["widget"] |= {
            "value": self.format_value(value),
            "catalogue": catalogue_of(self.type) if self.type else [],
            "catalogue_url": self.catalogue_url,
        }
        return context


class ScopesField(forms.CharField):
    """A list of scopes: blanks and repeats dropped, order kept."""

    widget = ScopesWidget

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(strip=False, **{"required": False, **kwargs})

    def prepare_value(self, value: Any) -> Any:
        return value

    def to_python(self, value: Any) -> Any:
        lines = value if isinstance(value, list) else str(value or "").splitlines()
        return list(tidy(lines))

    def has_changed(self, initial: Any, data: Any) -> bool:
        return bool(list(initial or []) != self.to_python(data))


class SecretField(forms.CharField):
    """A secret, which goes in and never comes out."""

    def __init__(self, **kwargs: Any) -> None:
        kwargs.setdefault(
            "help_text", _("It is stored encrypted and never shown again. Leave empty to keep the one that is set.")
        )
        widget = UnfoldAdminPasswordWidget(attrs={"autocomplete": "off"})
        super().__init__(required=False, strip=True, max_length=4000, widget=widget, **kwargs)


class DomainsField(forms.CharField):
    """A list of domains, one per line or with commas: small letters, without the @ that people write before them."""

    widget = UnfoldAdminTextareaWidget

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**{"required": False, **kwargs})

    def prepare_value(self, value: Any) -> Any:
        return "\n".join(value) if isinstance(value, list) else value

    def to_python(self, value: Any) -> Any:
        words = str(value or "").replace(",", " ").replace(";", " ").split()
        return list(dict.fromkeys(filter(None, (word.lower().removeprefix("@").rstrip(".") for word in words))))

    def validate(self, value: Any) -> None:
        for domain in value:
            try:
                validate_domains([domain])
            except ValidationError:
                message = _("“%(domain)s” is no domain. Enter the part of the address after the @, such as acme.com.")
                raise ValidationError(message % {"domain": domain}) from None

    def has_changed(self, initial: Any, data: Any) -> bool:
        return bool(list(initial or []) != self.to_python(data))


class TagsField(forms.CharField):
    """A list of tags, with commas or blanks between them, in small letters."""

    widget = UnfoldAdminTextInputWidget

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**{"required": False, **kwargs})

    def prepare_value(self, value: Any) -> Any:
        return ", ".join(value) if isinstance(value, list) else value

    def to_python(self, value: Any) -> Any:
        return list(dict.fromkeys(str(value or "").lower().replace(",", " ").split()))

    def validate(self, value: Any) -> None:
        validate_tags(value)

    def has_changed(self, initial: Any, data: Any) -> bool:
        return bool(list(initial or []) != self.to_python(data))


class ConnectionConfigWidget(forms.Widget):
    """One input per setting of the integration type, and a text area for settings that the catalogue does not name."""

    template_name = "connectors/widgets/config.html"

    def __init__(self, fields: Sequence[Mapping[str, Any]] = ()) -> None:
        super().__init__()
        self.fields = list(fields)
        self.problems: Mapping[str, Sequence[str]] = {}

    def get_context(self, name: str, value: Any, attrs: dict[str, Any] | None) -> dict[str, Any]:
        context: dict[str, Any] = super().get_context(name, value, attrs)
        values = dict(value or {})
        prefix = (attrs or {}).get("id", f"id_{name}")
        inputs = []
        for field in self.fields:
            key = field["name"]
            problems = self.problems.get(key, ())
            shown = {"id": f"{prefix}_{key}", "placeholder": field.get("placeholder", "")}
            if problems:
                shown |= {"aria-invalid": "true", "aria-describedby": f"{prefix}_{key}_problem"}
            widget = UnfoldAdminTextInputWidget().get_context(f"{name}.{key}", values.pop(key, ""), shown)["widget"]
            inputs.append({"field": field, "widget": widget, "id": shown["id"], "problems": problems})
        others = "\n".join(f"{key} = {item}" if item else key for key, item in values.items())
        context["widget"] |= {"inputs": inputs, "others": others, "show_others": bool(others) or not self.fields}
        return context

    def value_from_datadict(self, data: Mapping[str, Any], files: Any, name: str) -> dict[str, str]:
        """Settings by name; a line that is none comes with an empty value, for the field to refuse."""
        values = {}
        for line in filter(None, map(str.strip, str(data.get(f"{name}.others", "")).splitlines())):
            key, _, item = line.partition("=")
            values[key.strip()] = item.strip()
        for field in self.fields:
            # Without scripts the add form has no such input yet: then the setting may stand among the others.
            typed = data.get(f"{name}.{field['name']}", values.get(field["name"], ""))
            values[field["name"]] = str(typed).strip()
        names = {field["name"] for field in self.fields}
        return {key: item for key, item in values.items() if item or key not in names}

    def value_omitted_from_data(self, data: Mapping[str, Any], files: Any, name: str) -> bool:
        return False

    def id_for_label(self, id_: str) -> str:
        return f"{id_}_{self.fields[0]['name']}" if self.fields else f"{id_}_others"


class ConnectionConfigField(forms.Field):
    """A connector's connection settings, as names and texts."""

    widget = ConnectionConfigWidget

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**{"required": False, **kwargs})

    def to_python(self, value: Any) -> dict[str, str]:
        settings = dict(value or {})
        odd = [key or "=" for key, item in settings.items() if not (key and item)]
        if odd:
            message = _("Write each setting as name = value. This is none: %(lines)s")
            raise ValidationError(message % {"lines": ", ".join(odd)})
        return settings

    def has_changed(self, initial: Any, data: Any) -> bool:
        return json.dumps(dict(initial or {}), sort_keys=True) != json.dumps(dict(data or {}), sort_keys=True)
