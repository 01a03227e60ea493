#!/usr/bin/env python
"""Django's command line for the connector portal."""

import os
import sys


def main() -> None:
    """Run one management command; a setting that is missing or unsafe is answered by one line, not a traceback."""
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "portal.settings")
    if sys.argv[1:2] == ["demo"]:
        os.environ["DEBUG"] = "on"  # settings are read before the command runs, and the demo has no secrets yet
    from django.core.exceptions import ImproperlyConfigured
    from django.core.management import execute_from_command_line

    try:
        execute_from_command_line(sys.argv)
    except ImproperlyConfigured as error:
        sys.stderr.write(f"{error}\n")
        raise SystemExit(2) from None


if __name__ == "__main__":
    main()
