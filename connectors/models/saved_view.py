"""Views of the ledger that somebody gave a name."""

from __future__ import annotations

from django.conf import settings
from django.contrib.auth.models import AbstractBaseUser, AnonymousUser
from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _


class SavedViewQuerySet(models.QuerySet["SavedView"]):
    def usable_by(self, user: AbstractBaseUser | AnonymousUser) -> SavedViewQuerySet:
        """Their own, and those that colleagues share."""
        return self.filter(Q(owner=user.pk) | Q(is_shared=True)) if user.is_authenticated else self.none()


class SavedView(models.Model):
    """One row is a choice of filters on one of the ledger's pages, as the page's address holds them."""

    class Page(models.TextChoices):
        LIST = "list", _("List")
        SCOPES = "scopes", _("By scope")
        ACCOUNTS = "accounts", _("By account")
        PEOPLE = "people", _("By person")

    name = models.CharField(_("name"), max_length=60)
    page = models.CharField(_("page"), max_length=10, choices=Page.choices, default=Page.LIST)
    query = models.CharField(_("filters"), max_length=2000, blank=True, help_text=_("The address's part after the ?."))
    owner = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="+", verbose_name=_("owner")
    )
    is_shared = models.BooleanField(_("for everybody"), default=False)
    created_at = models.DateTimeField(_("saved"), auto_now_add=True)

    objects = SavedViewQuerySet.as_manager()

    class Meta:
        ordering = ["name", "pk"]
        verbose_name = _("saved view")
        verbose_name_plural = _("saved views")
        constraints = [
            models.UniqueConstraint(
                fields=["owner", "name"],
                name="savedview_unique_name",
                violation_error_message=_("You have a view of this name already."),
            )
        ]

    def __str__(self) -> str:
        return self.name
