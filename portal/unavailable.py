"""What a page answers while the database, the cache or the broker is away: that it is not the portal's own fault."""

from __future__ import annotations

import sys

from django.db import InterfaceError, OperationalError
from django.http import HttpRequest, HttpResponse
from django.views.defaults import server_error
from kombu.exceptions import OperationalError as BrokerError
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import TimeoutError as RedisTimeoutError

from portal.later import later

AWAY = (OperationalError, InterfaceError, BrokerError, RedisConnectionError, RedisTimeoutError)
RETRY_SECONDS = 10


def error_page(request: HttpRequest) -> HttpResponse:
    """Django's `handler500`: 503 where a server that the portal needs did not answer, 500 for every other fault.

    Django calls it while it handles the exception, and logs that.
    """
    if not isinstance(sys.exc_info()[1], AWAY):
        return server_error(request)
    return later(request, 503, "The portal can't reach a server that it needs. Try again later.", RETRY_SECONDS)
