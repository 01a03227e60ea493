"""Keep somebody's groups as their sign-in provider has them: at every login, and only groups that its mappings name."""

from __future__ import annotations

from collections.abc import Collection

from django.contrib.auth.models import Group, User
from django.db import transaction

from connectors.core.actor import Actor
from connectors.flows.events import record_event
from connectors.models import SignInProvider
from connectors.models.grants import forget_grants


@transaction.atomic
def follow_groups(provider: SignInProvider, user: User, claimed: Collection[str], actor: Actor) -> None:
    """The person joins the mapped groups that the provider has them in, and leaves the others that it maps.

    A provider that says nothing of groups has them in none: who is not known to belong does not.
    """
    if not provider.groups_claim:
        return
    wanted, named = _mapped(provider, claimed)
    current = set(user.groups.values_list("pk", flat=True))
    _change(user, wanted - current, named, actor, "login.group_joined")
    _change(user, (named.keys() - wanted) & current, named, actor, "login.group_left")


def _mapped(provider: SignInProvider, claimed: Collection[str]) -> tuple[set[int], dict[int, Group]]:
    """The groups here that the claimed ones stand for, and all that the provider's mappings name."""
    mappings = list(provider.group_mappings.select_related("group"))
    wanted = {mapping.group_id for mapping in mappings if mapping.claim_value in claimed}
    return wanted, {mapping.group_id: mapping.group for mapping in mappings}


def _change(user: User, keys: Collection[int], named: dict[int, Group], actor: Actor, verb: str) -> None:
    if not keys:
        return
    groups = [named[key] for key in sorted(keys)]
    if verb == "login.group_joined":
        user.groups.add(*groups)
    else:
        user.groups.remove(*groups)
    for group in groups:
        record_event(actor, verb, user, after={"group": group.name})
    forget_grants(user)
