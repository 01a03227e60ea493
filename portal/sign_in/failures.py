"""Failed logins go on record, but no flood of them: whoever hammers the door must not fill the record."""

from __future__ import annotations

from django.conf import settings
from django.http import HttpRequest

from portal.counters import count
from portal.rate_limits import address_of

RECORDED_PER_MINUTE = 10
"""Failed logins of one address that are recorded in a minute; of the rest nobody reads."""


def may_record(request: HttpRequest) -> bool:
    """Whether one more failure of this address is to be recorded in this minute. Counts it, where limits are on."""
    return settings.RATE_LIMITS is None or count(f"failures:{address_of(request)}", 60).number <= RECORDED_PER_MINUTE
