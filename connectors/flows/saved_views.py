"""Keep a choice of the ledger's filters under a name, for oneself or for everybody."""

from __future__ import annotations

from urllib.parse import parse_qsl, urlencode

from django.contrib.auth.models import AbstractBaseUser, AnonymousUser
from django.db import transaction

from connectors.core.actor import Actor
from connectors.core.errors import Refused
from connectors.flows.events import record_event
from connectors.models import LedgerEntry, SavedView
from connectors.models.ledger import LedgerEntryQuerySet
from connectors.models.visibility import may_everywhere

SHARE = "change_savedview"
MAX_VIEWS = 50
"""Views of one person: they stand in a row above the list."""
NOT_FILTERS = ("p", "e", "all", "download", "_popup")
"""What the ledger's addresses say that is about one look at them only."""
_NAMING = {
    "project__id__exact": "project",
    "project__workspace__id__exact": "project__workspace",
    "account": "account",
    "person": "person",
}
"""Filters that name what only some may know of, and the entries that they find."""


def filters_in(query: str) -> str:
    """The part of an address's query that chooses rows, in a fixed order: the same choice is always the same text."""
    pairs = parse_qsl(query.replace("\0", ""))
    return urlencode(sorted((key, value) for key, value in pairs if value.strip() and key not in NOT_FILTERS))


def usable_views(user: AbstractBaseUser | AnonymousUser) -> list[SavedView]:
    """Their own views, and those that colleagues share, but for views of what this person may not know of.

    A view's name and filters can tell of a project, an account or a person; to whom these are nothing, it is nothing.
    """
    views = list(SavedView.objects.usable_by(user))
    shared = [view for view in views if view.owner_id != user.pk]
    if not shared or may_everywhere(user, "view_ledgerentry"):
        return views
    entries = LedgerEntry.objects.visible_to(user).order_by()
    hidden = {view.pk for view in shared if not _is_known(view, entries)}
    return [view for view in views if view.pk not in hidden]


def may_share(user: AbstractBaseUser | AnonymousUser) -> bool:
    """Whether somebody may show a view to everybody: only who may do so everywhere, for everybody will see it."""
    return may_everywhere(user, SHARE)


def _is_known(view: SavedView, entries: LedgerEntryQuerySet) -> bool:
    """Whether the places, accounts and people that the view names, and what it searches for, are in these entries."""
    chosen = dict(parse_qsl(view.query))
    places = {name: value for name, value in chosen.items() if name.startswith("project")}
    if not all(name in _NAMING and _is_key(value) for name, value in places.items()):
        return False
    named = {_NAMING[name]: value for name, value in chosen.items() if name in _NAMING and value != "-"}
    text = chosen.get("q", "")
    found = entries.filter(**named).matching(text) if text else entries.filter(**named)
    return not (named or text) or found.exists()


def _is_key(text: str) -> bool:
    return text.isascii() and text.isdigit() and len(text) < 19


@transaction.atomic
def save_view(user: AbstractBaseUser, page: str, name: str, query: str, *, shared: bool, actor: Actor) -> SavedView:
    """Keeps the filters; a view of this person with this name gets the new ones. Raises Refused for what can't be."""
    name = " ".join(name.split())
    longest = SavedView._meta.get_field("name").max_length or 0
    kept = filters_in(query)
    if not name or len(name) > longest:
        raise Refused(f"Give the view a name of at most {longest} characters.")
    if page not in SavedView.Page.values:
        raise Refused("There is no such page of the ledger.")
    if len(kept) > (SavedView._meta.get_field("query").max_length or 0):
        raise Refused("These filters are too long to be kept.")
    mine = SavedView.objects.filter(owner=user.pk)
    if not mine.filter(name=name).exists() and mine.count() >= MAX_VIEWS:
        raise Refused(f"You have {MAX_VIEWS} views. Remove one that you no longer need.")
    values = {"page": page, "query": kept, "is_shared": shared}
    view, _ = SavedView.objects.update_or_create(owner_id=user.pk, name=name, defaults=values)
    record_event(actor, "savedview.saved", view, after={**values, "name": name})
    return view


@transaction.atomic
def remove_view(view: SavedView, actor: Actor) -> None:
    """Removes the view; the rows that it showed are not touched."""
    record_event(actor, "savedview.removed", view, before={"name": view.name, "page": view.page, "query": view.query})
    view.delete()


def may_remove(view: SavedView, user: AbstractBaseUser | AnonymousUser, *, shares: bool) -> bool:
    """One's own views; and those that others share, for whoever may share (`shares`)."""
    return view.owner_id == user.pk or (view.is_shared and shares)
