"""Attempts of people to authorise a connector, and the links with which an admin asks somebody to."""

from __future__ import annotations

import datetime as dt

from django.conf import settings
from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _

from .connector import Connector
from .fields import SealedField
from .oauth_client import OAuthClient
from .visibility import VisibleQuerySet


class ConsentLinkQuerySet(VisibleQuerySet["ConsentLink"]):
    project_path = "connector__project"

    def open(self, now: dt.datetime) -> ConsentLinkQuerySet:
        """Those with which somebody can still give consent."""
        return self.filter(used_at=None, revoked_at=None, expires_at__gt=now)


class ConsentLink(models.Model):
    """One row is one link that asks a colleague for consent to one connector.

    Only a hash of the link is kept: whoever reads the table cannot use it. The first who logs in and starts has claimed
    it, nobody else can use it after that; it ends with the first consent that succeeds, or with its time.
    """

    class Kind(models.TextChoices):
        HOSTED = "hosted", _("Hosted by Base44")
        PORTAL = "portal", _("Held by the portal")

    token_hash = models.CharField(max_length=64, unique=True, editable=False)
    connector = models.ForeignKey(
        Connector, on_delete=models.CASCADE, related_name="consent_links", verbose_name=_("connector")
    )
    kind = models.CharField(_("way"), max_length=10, choices=Kind.choices)
    oauth_client = models.ForeignKey(
        OAuthClient, null=True, blank=True, on_delete=models.CASCADE, related_name="+", verbose_name=_("OAuth client")
    )
    note = models.CharField(_("for whom"), max_length=200, blank=True)
    allows_other_account = models.BooleanField(
        _("another account may take over"),
        default=False,
        help_text=_("For whoever leaves: the colleague agrees with their own account, not with that of before."),
    )
    created_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, on_delete=models.SET_NULL, related_name="+", verbose_name=_("made by")
    )
    created_at = models.DateTimeField(_("made"), auto_now_add=True)
    expires_at = models.DateTimeField(_("ends"))
    claimed_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, on_delete=models.SET_NULL, related_name="+", verbose_name=_("opened by")
    )
    claimed_at = models.DateTimeField(_("opened"), null=True, blank=True)
    used_at = models.DateTimeField(_("used"), null=True, blank=True)
    revoked_at = models.DateTimeField(_("withdrawn"), null=True, blank=True)
    message = models.CharField(_("outcome"), max_length=500, blank=True)

    objects = ConsentLinkQuerySet.as_manager()

    class Meta:
        ordering = ["-id"]
        verbose_name = _("consent link")
        verbose_name_plural = _("consent links")

    def __str__(self) -> str:
        return f"consent link {self.pk}"

    def is_open(self, now: dt.datetime) -> bool:
        """Whether somebody can still give consent with it."""
        return self.used_at is None and self.revoked_at is None and self.expires_at > now


class AuthorisationQuerySet(VisibleQuerySet["Authorisation"]):
    seen_with = "token"
    project_path = "connector__project"

    def pending(self) -> AuthorisationQuerySet:
        return self.filter(outcome=Authorisation.Outcome.PENDING)


class Authorisation(models.Model):
    """One row is one trip of one person to a provider's consent page, and what came of it.

    The row makes the `state` parameter single-use on every database: `claimed_at` is set by one conditional UPDATE, and
    only who set it may exchange the code. Kept in the session, as allauth does, eight replays at once were eight
    exchanges, and the provider revoked the grant.
    """

    class Outcome(models.TextChoices):
        PENDING = "pending", _("Not finished")
        CONNECTED = "connected", _("Connected")
        FEWER_SCOPES = "fewer_scopes", _("Fewer scopes granted")
        DENIED = "denied", _("Denied")
        OTHER_ACCOUNT = "other_account", _("Another account")
        WRONG_DOMAIN = "wrong_domain", _("Account not allowed")
        EXPIRED = "expired", _("Took too long")
        PROVIDER_DOWN = "provider_down", _("Provider not reachable")
        PROVIDER_ERROR = "provider_error", _("Provider error")
        CLIENT_ERROR = "client_error", _("Client refused")
        NOT_TRUSTED = "not_trusted", _("Answer not trusted")

    state_hash = models.CharField(max_length=64, unique=True, editable=False)
    connector = models.ForeignKey(
        Connector, on_delete=models.CASCADE, related_name="authorisations", verbose_name=_("connector")
    )
    oauth_client = models.ForeignKey(
        OAuthClient, on_delete=models.CASCADE, related_name="authorisations", verbose_name=_("OAuth client")
    )
    consent_link = models.ForeignKey(
        ConsentLink, null=True, blank=True, on_delete=models.SET_NULL, related_name="authorisations"
    )
    user = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="+", verbose_name=_("person")
    )
    session_hash = models.CharField(max_length=64, editable=False)
    asked_scopes = models.JSONField(_("asked scopes"), default=list)
    redirect_uri = models.CharField(max_length=500, editable=False)
    verifier = SealedField(help_text=_("PKCE code verifier (RFC 7636), needed once."))
    nonce = SealedField(help_text=_("OpenID Connect nonce, compared once."))
    allow_other_account = models.BooleanField(default=False)
    created_at = models.DateTimeField(_("started"), db_index=True)
    expires_at = models.DateTimeField()
    claimed_at = models.DateTimeField(null=True, blank=True)
    finished_at = models.DateTimeField(_("finished"), null=True, blank=True)
    outcome = models.CharField(_("outcome"), max_length=15, choices=Outcome.choices, default=Outcome.PENDING)
    message = models.CharField(_("message"), max_length=500, blank=True)
    account = models.CharField(_("account"), max_length=254, blank=True)

    objects = AuthorisationQuerySet.as_manager()

    class Meta:
        ordering = ["-id"]
        verbose_name = _("authorisation")
        verbose_name_plural = _("authorisations")
        indexes = [
            models.Index(fields=["created_at"], name="authorisation_pending", condition=Q(outcome="pending")),
        ]

    def __str__(self) -> str:
        return f"authorisation {self.pk}"
