"""The OAuth token that the portal holds for one connector, and the history of its refreshes."""

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


class TokenQuerySet(VisibleQuerySet["Token"]):
    project_path = "connector__project"

    def alive(self) -> TokenQuerySet:
        """Those that may still open something at the provider."""
        return self.filter(_alive())

    def with_names(self) -> TokenQuerySet:
        """With all that says which tokens they are, and without what no page shows: secrets, files, notes."""
        rows = self.select_related("connector__project__workspace", "connector__integration_type", "oauth_client")
        return rows.defer(
            "access_token",
            "refresh_token",
            "oauth_client__client_secret",
            "oauth_client__settings",
            "connector__source",
            "connector__project__notes",
        )

    def needing_renewal(self, now: dt.datetime) -> TokenQuerySet:
        """Those that open nothing until a person consents again: consent has ended, or nothing can renew them."""
        return self.filter(Q(state=Token.State.NEEDS_CONSENT) | _ended(now))

    def due(self, now: dt.datetime) -> TokenQuerySet:
        """Those to refresh now, the most urgent first. A misconfigured client's tokens wait until it is put right."""
        return (
            self.alive()
            .filter(refresh_at__lte=now)
            .exclude(oauth_client__state=OAuthClient.State.MISCONFIGURED)
            .order_by("refresh_at", "pk")
        )

    def in_condition(self, condition: str, now: dt.datetime) -> TokenQuerySet:
        """Those whose `condition(now)` is this one."""
        if condition in (Token.State.NEEDS_CONSENT, Token.State.REVOKED):
            return self.filter(state=condition)
        blocked = Q(oauth_client__state=OAuthClient.State.MISCONFIGURED)
        if condition == Token.Condition.MISCONFIGURED:
            return self.alive().filter(blocked)
        if condition == Token.Condition.FAILING:
            return self.filter(~blocked, state=condition)
        fresh = self.filter(~blocked, state=Token.State.FRESH)
        if condition == Token.Condition.DUE:
            return fresh.filter(refresh_at__lte=now)
        if condition == Token.Condition.EXPIRED:
            return fresh.filter(_ended(now))
        unending = Q(refresh_at=None) & (Q(expires_at=None) | Q(expires_at__gt=now))
        return fresh.filter(Q(refresh_at__gt=now) | unending)

    def needing_attention(self, now: dt.datetime) -> TokenQuerySet:
        """Those whose `condition(now)` asks for somebody: they no longer renew themselves, or failed to just now."""
        blocked = _alive() & Q(oauth_client__state=OAuthClient.State.MISCONFIGURED)
        return self.filter(Q(state__in=[Token.State.FAILING, Token.State.NEEDS_CONSENT]) | blocked | _ended(now))

    def siblings_of(self, token: Token) -> TokenQuerySet:
        """Other live tokens of the same account and client: at many providers they end when this one is revoked.

        An account that is not known may be any, so then every live token of the client whose account is not known
        either counts.
        """
        return self.alive().filter(oauth_client=token.oauth_client_id, account_id=token.account_id).exclude(pk=token.pk)


def _alive() -> Q:
    return Q(state__in=[Token.State.FRESH, Token.State.FAILING])


def _ended(now: dt.datetime) -> Q:
    """The access token is over, and there is nothing to renew it with."""
    return Q(state=Token.State.FRESH, refresh_at=None, expires_at__lte=now)


class Token(models.Model):
    """One row is one connector's token: what it opens, until when, and who gave it.

    `refresh_at` is when the next refresh is due; None: there is nothing to refresh. `generation` counts the pairs of
    tokens stored here: a worker stores what it got only in place of the pair it started from.
    """

    class State(models.TextChoices):
        FRESH = "fresh", _("Fresh")
        FAILING = "failing", _("Refresh failing")
        NEEDS_CONSENT = "needs_consent", _("Needs consent")
        REVOKED = "revoked", _("Revoked")

    class Condition(models.TextChoices):
        """The state as it is shown: with what follows from the time and from the client."""

        FRESH = "fresh", _("Fresh")
        DUE = "due", _("Refresh due")
        EXPIRED = "expired", _("Expired")
        FAILING = "failing", _("Refresh failing")
        MISCONFIGURED = "misconfigured", _("Client misconfigured")
        NEEDS_CONSENT = "needs_consent", _("Needs consent")
        REVOKED = "revoked", _("Revoked")

    NEED_ATTENTION = [Condition.EXPIRED, Condition.FAILING, Condition.MISCONFIGURED, Condition.NEEDS_CONSENT]

    connector = models.OneToOneField(
        Connector, on_delete=models.CASCADE, related_name="token", verbose_name=_("connector")
    )
    oauth_client = models.ForeignKey(
        OAuthClient, on_delete=models.PROTECT, related_name="tokens", verbose_name=_("OAuth client")
    )
    access_token = SealedField()
    refresh_token = SealedField()
    token_type = models.CharField(_("token type"), max_length=30, blank=True)
    details = models.JSONField(
        _("details"), default=dict, blank=True, help_text=_("What calls with this token need to know, such as a host.")
    )
    redirect_uri = models.CharField(
        max_length=500, blank=True, editable=False, help_text=_("With which it was issued; some providers ask again.")
    )
    asked_scopes = models.JSONField(_("asked scopes"), default=list)
    granted_scopes = models.JSONField(
        _("granted scopes"), null=True, blank=True, help_text=_("None: the provider does not say.")
    )
    account = models.CharField(_("account"), max_length=254, blank=True)
    account_id = models.CharField(_("account id"), max_length=255, blank=True)
    authorised_at = models.DateTimeField(_("authorised"))
    authorised_by = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        null=True,
        blank=True,
        on_delete=models.SET_NULL,
        related_name="+",
        verbose_name=_("authorised by"),
    )
    authorised_by_label = models.CharField(_("authorised by"), max_length=200, blank=True)
    issued_at = models.DateTimeField(_("issued"), help_text=_("When the provider gave this pair of tokens."))
    expires_at = models.DateTimeField(
        _("expires"), null=True, blank=True, help_text=_("None: as far as is known, it does not.")
    )
    refresh_expires_at = models.DateTimeField(_("refresh token expires"), null=True, blank=True)
    state = models.CharField(_("state"), max_length=15, choices=State.choices, default=State.FRESH)
    refresh_at = models.DateTimeField(_("next refresh"), null=True, blank=True)
    refreshed_at = models.DateTimeField(_("last refreshed"), null=True, blank=True)
    refresh_count = models.PositiveIntegerField(_("refreshes"), default=0)
    failures = models.PositiveIntegerField(_("failures in a row"), default=0)
    failing_since = models.DateTimeField(_("failing since"), null=True, blank=True)
    last_error = models.CharField(_("last error"), max_length=300, blank=True)
    last_error_code = models.CharField(max_length=60, blank=True)
    used_at = models.DateTimeField(_("last used"), null=True, blank=True)
    death_warned_for = models.DateTimeField(null=True, blank=True, editable=False)
    generation = models.PositiveIntegerField(default=0)
    lease_until = models.DateTimeField(null=True, blank=True)

    objects = TokenQuerySet.as_manager()

    class Meta:
        ordering = ["connector"]
        verbose_name = _("token")
        verbose_name_plural = _("tokens")
        indexes = [
            models.Index(fields=["refresh_at"], name="token_refresh_due", condition=Q(state__in=["fresh", "failing"])),
            models.Index(fields=["oauth_client", "account_id"], name="token_client_account"),
            models.Index(fields=["state"], name="token_state"),
        ]

    def __str__(self) -> str:
        connector = self._state.fields_cache.get("connector")  # no query: a name must cost nothing
        return f"{connector} token" if connector is not None else f"token {self.pk}"

    def is_expired(self, now: dt.datetime) -> bool:
        """Whether the access token has ended; one whose end is not known counts as alive."""
        return self.expires_at is not None and self.expires_at <= now

    def condition(self, now: dt.datetime) -> Condition:
        """What to show as this token's state. Asks for `oauth_client` when it is not loaded."""
        if self.state in (self.State.NEEDS_CONSENT, self.State.REVOKED):
            return self.Condition(self.state)
        if self.oauth_client.state == OAuthClient.State.MISCONFIGURED:
            return self.Condition.MISCONFIGURED
        if self.state == self.State.FAILING:
            return self.Condition.FAILING
        if self.refresh_at is None:
            return self.Condition.EXPIRED if self.is_expired(now) else self.Condition.FRESH
        return self.Condition.DUE if self.refresh_at <= now else self.Condition.FRESH


class TokenRefresh(models.Model):
    """One row is one attempt to refresh a token."""

    class Outcome(models.TextChoices):
        OK = "ok", _("Refreshed")
        TRANSIENT = "transient", _("Failed for now")
        LOST = "lost", _("Answer lost")
        CONSENT = "consent", _("Consent ended")
        CLIENT = "client", _("Client refused")
        REFUSED = "refused", _("Refused")

    token = models.ForeignKey(Token, on_delete=models.CASCADE, related_name="refreshes", verbose_name=_("token"))
    at = models.DateTimeField(_("when"), db_index=True)
    outcome = models.CharField(_("outcome"), max_length=10, choices=Outcome.choices)
    code = models.CharField(_("code"), max_length=60, blank=True)
    note = models.CharField(_("note"), max_length=300, blank=True)
    took_ms = models.PositiveIntegerField(
        _("took"), default=0, help_text=_("Milliseconds until the provider answered.")
    )
    expires_at = models.DateTimeField(_("good until"), null=True, blank=True)

    class Meta:
        ordering = ["-id"]
        verbose_name = _("refresh")
        verbose_name_plural = _("refreshes")
        indexes = [models.Index(fields=["token", "-id"], name="tokenrefresh_newest")]

    def __str__(self) -> str:
        return f"{self.outcome} {self.at:%Y-%m-%d %H:%M}"
