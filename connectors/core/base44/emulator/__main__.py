"""`python -m connectors.core.base44.emulator`: the emulator without Django."""

from __future__ import annotations

import argparse
import sys

from connectors.core.base44.emulator.cli import EmulatorFailure, add_arguments, options_from, run


def main() -> int:
    """Run the emulator; 1 when it cannot start."""
    parser = argparse.ArgumentParser(description="An emulator of Base44's connector service")
    add_arguments(parser)
    try:
        run(options_from(vars(parser.parse_args())), lambda text: print(text, flush=True))  # noqa: T201
    except EmulatorFailure as failure:
        print(f"Error: {failure}", file=sys.stderr)  # noqa: T201
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
