"""The portal's settings in an environment of the tests' own: a data directory per process, keys made for the run."""

from __future__ import annotations

import atexit
import contextlib
import os
import secrets
import shutil
import tempfile

import redis
from cryptography.fernet import Fernet


def _forget_keys(url: str, prefix: str) -> None:
    """Delete what this process's tests left in Redis; brokers keep their bindings for ever."""
    with contextlib.suppress(redis.RedisError), redis.Redis.from_url(url) as server:
        for key in server.scan_iter(f"{prefix}:*", count=1000):
            server.delete(key)


_data_dir = tempfile.mkdtemp(prefix="portal-tests-")
atexit.register(shutil.rmtree, _data_dir, ignore_errors=True)

os.environ["PORTAL_TESTING"] = "1"
os.environ["PORTAL_DATA_DIR"] = _data_dir
os.environ["REDIS_PREFIX"] = f"portal-tests-{secrets.token_hex(4)}"
if os.environ.get("REDIS_URL"):
    atexit.register(_forget_keys, os.environ["REDIS_URL"], os.environ["REDIS_PREFIX"])
os.environ["SECRET_KEY"] = secrets.token_urlsafe(50)
os.environ["ENCRYPTION_KEYS"] = Fernet.generate_key().decode("ascii")
os.environ["HTTPS"] = "off"
os.environ["OUTGOING_ALLOWED_PRIVATE_HOSTS"] = "127.0.0.1,localhost"  # where the tests' servers are
for _name in ("DEBUG", "ALLOWED_HOSTS", "EMAIL_URL", "BASE44_API_URL", "SYNC_INTERVAL", "STATIC_ROOT", "LOG_FORMAT"):
    os.environ.pop(_name, None)

from portal.settings import *  # noqa: E402, F403

if REDIS_URL:  # noqa: F405
    CACHES["default"]["BACKEND"] = "tests.redis_cache.OwnKeysCache"  # noqa: F405
