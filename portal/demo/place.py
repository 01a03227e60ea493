"""Where the demo runs and what it keeps: ports, files, the environment of its programs."""

from __future__ import annotations

import os
import shutil
import socket
import sys
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote, urlsplit

from connectors.core.errors import Refused
from portal.supervisor import Program

MANAGE_PY = Path(__file__).resolve().parents[2] / "manage.py"
PROJECTS = Path(__file__).resolve().parent / "projects"

WEB_OPTIONS = ("--worker-class=gthread", "--workers=2", "--threads=4", "--log-level=warning", "--no-control-socket")
WORKER_OPTIONS = ("--pool=threads", "--loglevel=WARNING", "--without-gossip", "--without-mingle")


@dataclass(frozen=True, slots=True)
class DemoPlace:
    """One demo: its data directory and the two ports it listens on, on `host` (loopback unless told otherwise)."""

    data_dir: Path
    host: str
    port: int
    emulator_port: int

    @property
    def url(self) -> str:
        """The portal's address."""
        return f"http://{self._reachable_host}:{self.port}"

    @property
    def emulator_url(self) -> str:
        """The emulator's address, which stands in for Base44's."""
        return f"http://{self._reachable_host}:{self.emulator_port}"

    @property
    def _reachable_host(self) -> str:
        return "127.0.0.1" if self.host == "0.0.0.0" else self.host  # noqa: S104 - compared, not bound

    @property
    def password_file(self) -> Path:
        """Where the demo login's password is kept, so that the next start can show it again."""
        return self.data_dir / "demo" / "password"

    @property
    def token_file(self) -> Path:
        """The access token that the emulator accepts."""
        return self.data_dir / "demo" / "token"

    @property
    def mail_dir(self) -> Path:
        """Where the demo's e-mails end up, one file each."""
        return self.data_dir.absolute() / "demo" / "mail"

    @property
    def repository(self) -> Path:
        """The bare git repository with the sample projects' files."""
        return self.data_dir / "demo" / "repositories" / "apps.git"

    @property
    def emulator_state(self) -> Path:
        """What the emulator remembers of its apps."""
        return self.data_dir / "demo" / "emulator.json"


def require_free_ports(place: DemoPlace) -> None:
    """Refuse when another program listens on one of the ports, or when both are the same."""
    if place.port == place.emulator_port:
        raise Refused(f"PORT and EMULATOR_PORT are both {place.port}: choose two, as in make demo PORT=8001")
    for variable, port in (("PORT", place.port), ("EMULATOR_PORT", place.emulator_port)):
        with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((place.host, port))
            except OSError as error:
                raise Refused(
                    f"Port {port} cannot be used ({error.strerror}). Is the demo running already? "
                    f"Choose another port: make demo {variable}={port + 1}"
                ) from None


def forget(data_dir: Path) -> None:
    """Delete what a demo made in the data directory, and nothing else; its keys stay, they fit the next one too."""
    for name in ("broker", "cache", "demo", "git", "logs", "static"):
        shutil.rmtree(data_dir / name, ignore_errors=True)
    for pattern in ("db.sqlite3*", "beat-schedule*"):
        for path in data_dir.glob(pattern):
            path.unlink(missing_ok=True)


def programs(place: DemoPlace) -> list[Program]:
    """The four programs of the demo: Base44's stand-in, the web server, a worker, the scheduler."""
    env = environment(place)
    modules = {
        "web": ("gunicorn", "portal.wsgi", f"--bind={place.host}:{place.port}", *WEB_OPTIONS),
        "worker": ("celery", "--quiet", "-A", "portal", "worker", *WORKER_OPTIONS),
        "scheduler": ("celery", "--quiet", "-A", "portal", "beat", "--loglevel=WARNING", "--pidfile="),
    }
    started = [Program(name, (sys.executable, "-m", *argv), env) for name, argv in modules.items()]
    return [Program("emulator", (sys.executable, str(MANAGE_PY), *emulator_command(place)), env), *started]


def emulator_command(place: DemoPlace) -> tuple[str, ...]:
    """The management command that plays Base44, with the sample projects' apps in it."""
    return (
        "base44_emulator",
        f"--host={place.host}",
        f"--port={place.emulator_port}",
        f"--state={place.emulator_state}",
        f"--token-file={place.token_file}",
        "--seed=demo",
    )


def environment(place: DemoPlace) -> dict[str, str]:
    """The environment of the demo's programs: the caller's, with plain HTTP and Base44 replaced by the emulator.

    Unless the caller says otherwise mail goes to files, and webhooks may be sent to the emulator.
    """
    mail = {"EMAIL_URL": os.environ.get("EMAIL_URL") or f"filemail:///{quote(str(place.mail_dir))}"}
    hosts = {
        "ALERT_ALLOWED_PRIVATE_HOSTS": os.environ.get("ALERT_ALLOWED_PRIVATE_HOSTS")
        or urlsplit(place.emulator_url).hostname
        or ""
    }
    return (
        os.environ
        | mail
        | hosts
        | {
            "DEBUG": "on",
            "PORTAL_DATA_DIR": str(place.data_dir),
            "BASE44_API_URL": place.emulator_url,
            "GIT_ALLOW_FILE_URLS": "on",
            "LOG_LEVEL": os.environ.get("LOG_LEVEL", "WARNING"),
            "PYTHONUNBUFFERED": "1",
            # Celery warns that DEBUG makes it grow; the demo is short-lived.
            "PYTHONWARNINGS": "ignore",
        }
    )
