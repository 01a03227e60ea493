"""Device login: a person signs in at Base44 in a browser, the portal gets tokens, and renews them.

code = device_login_start(api_url)            # show code.user_code and code.verification_uri
tokens = device_login_poll(api_url, code.device_code)   # every code.interval seconds; None: not yet
"""

from __future__ import annotations

import time
from typing import Any
from urllib.parse import urlencode

from pydantic import SecretStr

from connectors.core.base44.contract import (
    CLIENT_ID,
    DEVICE_GRANT,
    DEVICE_SCOPE,
    REFRESH_GRANT,
    DeviceCode,
    DeviceCodeRequest,
    TokenAnswer,
    render,
)
from connectors.core.base44.credentials import DeviceTokens
from connectors.core.base44.http import Call, Transport, host_of
from connectors.core.errors import ApiError, CredentialError

_NOT_YET = frozenset({"authorization_pending", "slow_down"})
_OVER = {
    "expired_token": "The sign-in was not finished in time: start it again.",
    "access_denied": "The sign-in was declined at Base44.",
}
_FORM = "application/x-www-form-urlencoded"


def device_login_start(api_url: str, *, transport: Transport | None = None) -> DeviceCode:
    """Begin a sign-in. Raises ApiError when Base44 cannot be reached or refuses."""
    call = Call(
        "POST",
        f"{host_of(api_url).login}/oauth/device/code",
        "start a sign-in",
        body=render(DeviceCodeRequest(client_id=CLIENT_ID, scope=DEVICE_SCOPE)),
        signed=False,
    )
    return (transport or Transport()).ask(call, DeviceCode)


def device_login_poll(
    api_url: str, device_code: SecretStr, *, now: float | None = None, transport: Transport | None = None
) -> DeviceTokens | None:
    """The tokens once the person has agreed, None as long as they have not. `now` is Unix seconds.

    Raises CredentialError when the person declined or took too long, ApiError when Base44 cannot say.
    """
    secret = device_code.get_secret_value()
    form = {"grant_type": DEVICE_GRANT, "device_code": secret}
    try:
        return _tokens(api_url, form, "finish the sign-in", secret, now, transport)
    except ApiError as error:
        if error.code in _NOT_YET:
            return None
        if error.code in _OVER:
            raise CredentialError(_OVER[error.code], status=error.status, request_id=error.request_id) from error
        raise


def refresh_device_token(
    api_url: str, tokens: DeviceTokens, *, now: float | None = None, transport: Transport | None = None
) -> DeviceTokens:
    """New tokens for old. Store them before anything else: from now on the old refresh token is worth nothing.

    Call it only under a lock that all workers share. Raises CredentialError when Base44 has ended the login (a
    person must sign in again), and ApiError for anything that may pass, in which case the old tokens are to be kept.
    """
    secret = tokens.refresh_token.get_secret_value()
    form = {"grant_type": REFRESH_GRANT, "refresh_token": secret}
    try:
        return _tokens(api_url, form, "renew the sign-in", secret, now, transport)
    except ApiError as error:
        if error.code == "invalid_grant" or error.status in (400, 401):
            text = f"The sign-in at Base44 has ended, sign in again. {error}"
            raise CredentialError(text, status=error.status, request_id=error.request_id) from error
        raise


def _tokens(
    api_url: str, form: dict[str, Any], doing: str, secret: str, now: float | None, transport: Transport | None
) -> DeviceTokens:
    call = Call(
        "POST",
        f"{host_of(api_url).login}/oauth/token",
        doing,
        body=urlencode({**form, "client_id": CLIENT_ID}).encode(),
        content_type=_FORM,
        signed=False,
        secrets=(secret,),
    )
    # Taken before asking: a slow answer must not make the token look longer-lived than it is.
    asked_at = time.time() if now is None else now
    answer = (transport or Transport()).ask(call, TokenAnswer)
    return DeviceTokens(answer.access_token, answer.refresh_token, asked_at + answer.expires_in)
