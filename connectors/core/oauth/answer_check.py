"""What a provider's answer to an authorisation request says, and whether to believe it."""

from __future__ import annotations

import hmac
import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any
from urllib.parse import urlsplit

from connectors.core.oauth.answers import looks_random
from connectors.core.oauth.profile import Profile


class Fault(StrEnum):
    """Why an answer brings no token."""

    DENIED = "denied"
    DOWN = "down"
    ERROR = "error"
    CLIENT = "client"
    NOT_TRUSTED = "not_trusted"


@dataclass(frozen=True, slots=True)
class Problem:
    """A fault with what to tell the person."""

    fault: Fault
    text: str


@dataclass(frozen=True, slots=True)
class CallbackAnswer:
    """The query parameters of the redirect back (RFC 6749, 4.1.2 and RFC 9207); "" for what is not there."""

    code: bool = False
    error: str = ""
    iss: str = ""


_DENIALS = {"access_denied", "user_denied", "user_cancelled_login", "user_cancelled_authorize", "consent_required"}
_DOWN = {"server_error", "temporarily_unavailable"}
_CLIENT = {"unauthorized_client", "invalid_client"}
_CODE = re.compile(r"[A-Za-z0-9_.-]{1,60}")


def problem_of(answer: CallbackAnswer, profile: Profile) -> Problem | None:
    """What stands against exchanging the code of this answer; None when nothing does.

    The issuer is looked at first: an answer of another provider must not even be believed to be an error.
    """
    name = profile.name
    if not _is_from(answer.iss, profile):
        text = f"The answer does not come from the provider that was asked ({name}). Nothing was changed."
        return Problem(Fault.NOT_TRUSTED, text)
    if answer.error:
        return _error(answer.error, name)
    if not answer.code:
        return Problem(Fault.ERROR, f"{name} sent neither a code nor an error. Start again.")
    return None


def problem_of_claims(claims: Mapping[str, Any], profile: Profile, client_id: str, nonce: str | None) -> Problem | None:
    """What is wrong with the identity token (OpenID Connect Core 1.0, 3.1.3.7); None when nothing, or there is none.

    Its signature is not looked at: it came straight from the token endpoint over TLS. `nonce` None: none was sent.
    """
    if not claims:
        return None
    if nonce is not None and not _answers(claims.get("nonce"), nonce, profile):
        return _untrusted(profile, "it answers another request")
    audience = claims.get("aud")
    if client_id not in (audience if isinstance(audience, list) else [audience]):
        return _untrusted(profile, "it was made for another client")
    if profile.issuer and claims.get("iss") != profile.issuer:
        return _untrusted(profile, "it comes from another issuer")
    return None


def _is_from(iss: str, profile: Profile) -> bool:
    """Whether `iss` names the provider that was asked (RFC 9207, 2.4).

    Where the issuer is not known, a name at the host of the provider's own page is taken for it.
    """
    if not iss:
        return not profile.facts.issuer_in_response
    if profile.issuer:
        return iss == profile.issuer
    try:
        return urlsplit(iss).hostname == urlsplit(profile.authorize_url).hostname
    except ValueError:
        return False


def _answers(claim: object, nonce: str, profile: Profile) -> bool:
    """Whether the nonce is the one that was sent; one that is missing is let pass only where that is the habit."""
    if claim is None:
        return not profile.facts.echoes_nonce
    return hmac.compare_digest(str(claim).encode(), nonce.encode())


def _error(error: str, name: str) -> Problem:
    if error in _DENIALS:
        return Problem(Fault.DENIED, f"{name} says that access was denied. The connector keeps what it had.")
    if error in _DOWN:
        return Problem(Fault.DOWN, f"{name} cannot do it at the moment. Try again later.")
    code = error if _CODE.fullmatch(error) and not looks_random(error) else "an error without a readable name"
    if error in _CLIENT:
        return Problem(Fault.CLIENT, f"{name} does not accept the OAuth client ({code}). Check its settings.")
    if error == "invalid_scope":
        return Problem(Fault.ERROR, f"{name} does not know one of the scopes, or does not allow it to this client.")
    return Problem(Fault.ERROR, f"{name} answered with {code}. The connector keeps what it had.")


def _untrusted(profile: Profile, why: str) -> Problem:
    text = f"The identity that {profile.name} sent can't be trusted: {why}. Nothing was changed."
    return Problem(Fault.NOT_TRUSTED, text)
