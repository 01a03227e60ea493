"""Asked to end, as Docker and systemd ask (SIGTERM), every process finishes what it has begun."""

from __future__ import annotations

import http.client
import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from django.conf import settings
from django.test import Client

from connectors import tasks
from connectors.core.base44.emulator import Emulator
from connectors.flows import plan
from connectors.flows.connect import client_for
from connectors.models import Heartbeat, Project, SyncRun
from tests.factories import SHELL, make_connector, make_user
from tests.servers.worker import ROOT, eventually, portal_environment, worker
from tests.test_compose import image_command

SLOW = 2.0
"""Seconds that Base44 takes to answer: long enough to be asked to end meanwhile."""


@contextmanager
def web() -> Iterator[tuple[subprocess.Popen[bytes], int]]:
    """The web server as the image starts it, but on a port of its own."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    command = [word.replace("0.0.0.0:8000", f"127.0.0.1:{port}") for word in image_command()]
    environment = portal_environment() | {"SECRET_KEY": settings.SECRET_KEY, "ALLOWED_HOSTS": "127.0.0.1"}
    process = subprocess.Popen([sys.executable, "-m", *command], cwd=ROOT, env=environment, stderr=subprocess.DEVNULL)
    try:
        eventually("the web server answers", lambda: answers(port))
        yield process, port
    finally:
        process.kill()
        process.wait()


def answers(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), timeout=1).close()
    except OSError:
        return False
    return True


def logged_in() -> str:
    client = Client()
    client.force_login(make_user("operator", staff=True, superuser=True))
    return str(client.cookies[settings.SESSION_COOKIE_NAME].value)


def test_a_request_that_is_under_way_is_answered_whole(base44: Emulator, live_project: Project) -> None:
    session, got = logged_in(), []

    def ask(port: int) -> None:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
        cookie = {"Cookie": f"{settings.SESSION_COOKIE_NAME}={session}"}
        connection.request("GET", f"/admin/connectors/project/{live_project.pk}/plan/", headers=cookie)
        answer = connection.getresponse()
        got.append((answer.status, answer.read()))
        connection.close()

    with web() as (process, port):
        base44.latency = SLOW
        asking = threading.Thread(target=ask, args=(port,))
        asking.start()
        eventually(
            "the page asks Base44", lambda: base44.count("GET", "/external-auth/list") > 0 or not asking.is_alive()
        )
        process.send_signal(signal.SIGTERM)
        asking.join(60)
        assert process.wait(60) == 0
    ((status, body),) = got
    assert status == 200
    assert body.rstrip().endswith(b"</html>")
    assert not answers(port)


def test_a_task_that_is_under_way_is_finished(base44: Emulator, live_project: Project) -> None:
    make_connector(live_project, "slackbot", ["chat:write"])
    shown = plan.show_plan(live_project, client_for(live_project.workspace), SHELL)
    base44.latency = SLOW
    with worker() as running:
        run = tasks.start_apply(live_project, shown, [], SHELL)
        eventually("the worker has it", SyncRun.objects.filter(pk=run.pk, state=SyncRun.State.RUNNING).exists)
        running.process.send_signal(signal.SIGTERM)
        assert running.process.wait(60) == 0
    run.refresh_from_db()
    assert run.state == SyncRun.State.DONE
    assert base44.count("PUT", "/slackbot") == 1
    assert not Heartbeat.objects.filter(kind=Heartbeat.Kind.WORKER).exists()


def test_a_task_that_nobody_took_waits_for_the_next_worker(base44: Emulator, live_project: Project) -> None:
    with worker() as running:
        running.process.send_signal(signal.SIGTERM)
        running.process.wait(60)
    (run,) = tasks.start_sync([live_project], SHELL)
    with worker():
        eventually("it is done", SyncRun.objects.filter(pk=run.pk, state=SyncRun.State.DONE).exists)


def test_the_supervisor_passes_the_request_on() -> None:
    code = (
        "import os, sys; sys.path.insert(0, os.getcwd())\n"
        "from portal.supervisor import Program, Supervisor\n"
        "child = \"import signal, sys; signal.signal(15, lambda *_: (print('finishing', flush=True), sys.exit(0)));"
        " print('up', flush=True); signal.pause()\"\n"
        "say = lambda line: print(line, flush=True)\n"
        "raise SystemExit(Supervisor([Program('worker', (sys.executable, '-c', child), os.environ)], say).run())\n"
    )
    with subprocess.Popen([sys.executable, "-c", code], cwd=ROOT, env=os.environ, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"worker   | up\n"
        process.send_signal(signal.SIGTERM)
        assert process.stdout.read() == b"worker   | finishing\n"
    assert process.returncode == 0
