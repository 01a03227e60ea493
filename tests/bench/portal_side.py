"""The other end of `processes.Portal`: sets up Django, then carries out one call after the other.

A call is a line of JSON on standard input, its result one on standard output; whatever else is printed goes to
standard error.
"""

from __future__ import annotations

import importlib
import json
import os
import sys
import traceback
from collections.abc import Callable
from typing import Any

import django
from django.core.management import call_command


def main() -> None:
    """Migrate the place's database, then serve until standard input ends."""
    replies = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)
    django.setup()
    call_command("migrate", verbosity=0)
    for line in sys.stdin:
        request = json.loads(line)
        try:
            reply = {"result": _function(request["function"])(**request["arguments"])}
        except Exception as error:  # noqa: BLE001 - the other end says what happened
            traceback.print_exc()
            reply = {"error": f"{type(error).__name__}: {error}"}
        replies.write(json.dumps(reply) + "\n")


def _function(name: str) -> Callable[..., Any]:
    module, _, attribute = name.partition(":")
    found: Callable[..., Any] = getattr(importlib.import_module(f"tests.bench.{module}"), attribute)
    return found


if __name__ == "__main__":
    main()
