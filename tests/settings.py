"""The portal's settings in an environment of the tests' own: a data directory per process, keys made for the run."""

from __future__ import annotations

import atexit
import os
import secrets
import shutil
import tempfile

from cryptography.fernet import Fernet

_data_dir = tempfile.mkdtemp(prefix="portal-tests-")
atexit.register(shutil.rmtree, _data_dir, ignore_errors=True)

os.environ["PORTAL_TESTING"] = "1"
os.environ["PORTAL_DATA_DIR"] = _data_dir
os.environ["REDIS_PREFIX"] = f"portal-tests-{secrets.token_hex(4)}"
os.environ["SECRET_KEY"] = secrets.token_urlsafe(50)
os.environ["ENCRYPTION_KEYS"] = Fernet.generate_key().decode("ascii")
os.environ["HTTPS"] = "off"
for _name in ("DEBUG", "ALLOWED_HOSTS", "EMAIL_URL", "BASE44_API_URL", "SYNC_INTERVAL", "STATIC_ROOT", "LOG_FORMAT"):
    os.environ.pop(_name, None)

from portal.settings import *  # noqa: E402, F403
