"""Without a broker nothing breaks: what was asked for waits in its row until the sweep can send it."""

from __future__ import annotations

import os
import subprocess
import sys

from django.conf import settings

from connectors.models import Project, SyncRun
from tests.servers.worker import ROOT, database_url

ASK = """
from connectors import tasks
from connectors.core.actor import SCHEDULER
from connectors.models import Project
tasks.start_sync(Project.objects.all(), SCHEDULER)
print("asked")
"""


def test_asking_for_a_sync_without_a_broker_leaves_it_queued(live_project: Project) -> None:
    env = os.environ | {
        "DJANGO_SETTINGS_MODULE": "portal.settings",
        "DATABASE_URL": database_url(),
        "PORTAL_DATA_DIR": str(settings.PORTAL_DATA_DIR),
        "REDIS_URL": "redis://127.0.0.1:9/0",  # the discard port: nothing answers there
    }
    command = [sys.executable, "manage.py", "shell", "--no-imports", "-c", ASK]
    process = subprocess.run(command, cwd=ROOT, env=env, capture_output=True, text=True, check=False, timeout=120)
    assert "asked" in process.stdout, process.stderr
    assert SyncRun.objects.get().state == SyncRun.State.QUEUED
