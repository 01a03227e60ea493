"""The emulator as a command; shared by `manage.py base44_emulator` and `python -m connectors.core.base44.emulator`."""

from __future__ import annotations

import argparse
import errno
import logging
import os
import secrets
import signal
import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from connectors.core.base44.emulator.emulator import Emulator
from connectors.core.base44.emulator.persistence import StateFileError, write_private
from connectors.core.base44.emulator.seed import SEEDS

DEFAULT_PORT = 8044
TOKEN_FILE_VARIABLE = "BASE44_EMULATOR_TOKEN_FILE"  # noqa: S105 - the name of a variable


class EmulatorFailure(Exception):
    """The emulator cannot start; the text is for the person at the shell."""


@dataclass(frozen=True, slots=True)
class Options:
    """What the command line said. `latency_ms` is in milliseconds."""

    port: int = DEFAULT_PORT
    host: str = "127.0.0.1"
    latency_ms: float = 0.0
    state: Path | None = None
    token_file: Path | None = None
    rate_limits: bool = True
    seed: str = "demo"
    public_url: str = ""
    verbose: bool = False


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options on a parser; Django's `--verbosity` stays what it is."""
    parser.add_argument("--port", type=int, default=DEFAULT_PORT, help="port to listen on; 0 takes any free one")
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on")
    parser.add_argument("--latency-ms", type=float, default=0.0, metavar="N", help="delay every API answer")
    parser.add_argument("--state", type=Path, metavar="FILE", help="keep the emulated world in this file")
    parser.add_argument(
        "--token-file",
        type=Path,
        default=os.environ.get(TOKEN_FILE_VARIABLE) or None,
        metavar="FILE",
        help=f"the personal access token to accept; made when the file is absent (default: {TOKEN_FILE_VARIABLE})",
    )
    parser.add_argument(
        "--rate-limits", action=argparse.BooleanOptionalAction, default=True, help="limit calls as Base44 does"
    )
    parser.add_argument("--seed", choices=sorted(SEEDS), default="demo", help="the world to start from")
    parser.add_argument("--public-url", default="", metavar="URL", help="how a browser reaches this, for links")
    parser.add_argument("--log-requests", action="store_true", help="print each request")


def options_from(values: dict[str, object]) -> Options:
    """The options from parsed values (a namespace's dictionary); paths may still be text."""

    def path(name: str) -> Path | None:
        return Path(str(values[name])) if values.get(name) else None

    return Options(
        port=int(str(values["port"])),
        host=str(values["host"]),
        latency_ms=float(str(values["latency_ms"])),
        state=path("state"),
        token_file=path("token_file"),
        rate_limits=bool(values["rate_limits"]),
        seed=str(values["seed"]),
        public_url=str(values["public_url"]),
        verbose=bool(values["log_requests"]),
    )


def token_from(path: Path | None) -> str:
    """The token in a file, made and written there when there is none; "" without a file."""
    if path is None:
        return ""
    try:
        return path.read_text().strip() or _write_token(path)
    except FileNotFoundError:
        return _write_token(path)
    except OSError as error:
        raise EmulatorFailure(f"{path} cannot be read: {error.strerror}") from error


def _write_token(path: Path) -> str:
    token = f"emulated-pat-{secrets.token_urlsafe(24)}"
    write_private(path, token.encode() + b"\n")
    return token


def run(options: Options, say: Callable[[str], object]) -> None:
    """Serve until SIGINT or SIGTERM. Raises EmulatorFailure when it cannot start, with what to do about it."""
    stopped = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stopped.set())
    if options.verbose:
        logging.basicConfig(level=logging.DEBUG, format="%(message)s")
    emulator = start(options)
    try:
        say(
            f"Base44 emulator at {emulator.url} (seed {options.seed}, {'state kept' if options.state else 'in memory'})"
        )
        if options.token_file:
            say(f"Personal access token: in {options.token_file}")
        else:
            say("Personal access token: new at each start; use --token-file to keep one")
        stopped.wait()
    finally:
        emulator.stop()


def start(options: Options) -> Emulator:
    """A listening emulator; raises EmulatorFailure for a taken port or an unusable file."""
    try:
        emulator = Emulator(
            options.port,
            host=options.host,
            latency=options.latency_ms / 1000,
            seed=options.seed,
            state_file=options.state,
            token=token_from(options.token_file),
            rate_limits=options.rate_limits,
            public_url=options.public_url,
        )
        return emulator.start()
    except StateFileError as error:
        raise EmulatorFailure(str(error)) from error
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            raise EmulatorFailure(
                f"Port {options.port} on {options.host} is taken; choose another one with --port"
            ) from error
        raise EmulatorFailure(f"Cannot listen on {options.host}:{options.port}: {error.strerror}") from error
