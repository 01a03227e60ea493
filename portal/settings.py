"""All settings, driven by the environment; docs/configuration.md has a table of every variable.

The defaults are those of a production machine: DEBUG off, HTTPS only, and no start without good secrets.
Every variable can also be given as a file: NAME_FILE holds the path of a file with the value.
"""

from __future__ import annotations

import contextlib
from pathlib import Path

from csp.constants import NONE, SELF
from django.core.exceptions import ImproperlyConfigured

from connectors.core.net import Allowed
from portal import checks, secret_files
from portal.environment import Environment
from portal.limit_numbers import numbers_from as rate_limit_numbers
from portal.schedule import beat_schedule
from portal.unfold import UNFOLD as UNFOLD

BASE_DIR = Path(__file__).resolve().parent.parent
env = Environment()

# --- Where the portal's own files lie ---------------------------------------------------------------------------
PORTAL_DATA_DIR = Path(env.str("PORTAL_DATA_DIR", default=str(BASE_DIR / "var"))).expanduser().resolve()
try:
    PORTAL_DATA_DIR.mkdir(parents=True, exist_ok=True)
except OSError as error:
    raise ImproperlyConfigured(f"PORTAL_DATA_DIR: cannot make {PORTAL_DATA_DIR}: {error.strerror}") from None

# --- Secrets and hosts ------------------------------------------------------------------------------------------
DEBUG = env.bool("DEBUG", default=False)
TESTING = env.bool("PORTAL_TESTING", default=False)
SECRET_KEY = env.str("SECRET_KEY", default="")
ENCRYPTION_KEYS: list[str] = env.list("ENCRYPTION_KEYS", default=[])
if DEBUG:
    _secrets = PORTAL_DATA_DIR / "secrets"
    SECRET_KEY = SECRET_KEY or secret_files.read_or_create(_secrets / "secret_key", secret_files.new_secret_key)
    ENCRYPTION_KEYS = ENCRYPTION_KEYS or [
        secret_files.read_or_create(_secrets / "encryption_key", secret_files.new_encryption_key)
    ]
else:
    checks.require_secret_key(SECRET_KEY)
SECRET_KEY_FALLBACKS = [checks.require_secret_key(key) for key in env.list("SECRET_KEY_FALLBACKS", default=[])]
ENCRYPTION_KEYS = checks.require_encryption_keys(ENCRYPTION_KEYS)
# The audit trail is written with the first of these and read with any: a trail that began with the encryption keys
# goes on when it gets keys of its own.
TRAIL_KEYS = [*checks.require_trail_keys(env.list("TRAIL_KEYS", default=[])), *ENCRYPTION_KEYS]

ALLOWED_HOSTS: list[str] = env.list("ALLOWED_HOSTS", default=["localhost", "127.0.0.1", "[::1]"])
CSRF_TRUSTED_ORIGINS: list[str] = env.list("CSRF_TRUSTED_ORIGINS", default=[])

# --- What Base44 is asked, and how often ------------------------------------------------------------------------
BASE44_API_URL = env.str("BASE44_API_URL", default="https://app.base44.com")
SYNC_INTERVAL = env.int("SYNC_INTERVAL", default=900)
if SYNC_INTERVAL < 1:
    raise ImproperlyConfigured("SYNC_INTERVAL must be a number of seconds, at least 1")

# Where people and providers reach this portal; redirect URIs and links in messages begin with it.
PORTAL_URL = env.str("PORTAL_URL", default="")
PORTAL_URL = PORTAL_URL.rstrip("/")
if PORTAL_URL and not PORTAL_URL.startswith(("https://", "http://")):
    raise ImproperlyConfigured("PORTAL_URL must start with https:// (or http:// for a private network)")

RUN_RETENTION_DAYS = env.int("RUN_RETENTION_DAYS", default=30)
TOKEN_WARN_DAYS = env.int("TOKEN_WARN_DAYS", default=14)
INCIDENT_RETENTION_DAYS = env.int("INCIDENT_RETENTION_DAYS", default=180)
TRAIL_RETENTION_DAYS = env.int("TRAIL_RETENTION_DAYS", default=0)
if TRAIL_RETENTION_DAYS < 0:
    raise ImproperlyConfigured("TRAIL_RETENTION_DAYS must be a number of days, or 0 to keep every event")
TRAIL_ARCHIVE_DIR = env.str("TRAIL_ARCHIVE_DIR", default=str(PORTAL_DATA_DIR / "trail"))
ALERT_ALLOWED_PRIVATE_HOSTS: list[str] = env.list("ALERT_ALLOWED_PRIVATE_HOSTS", default=[])
try:
    Allowed.of(ALERT_ALLOWED_PRIVATE_HOSTS)
except ValueError:
    raise ImproperlyConfigured(
        "ALERT_ALLOWED_PRIVATE_HOSTS must be a list of host names and networks, such as relay.corp,10.1.0.0/16"
    ) from None

# A stand-in for Base44 or a provider on one's own machine is what development is about.
OUTGOING_ALLOWED_PRIVATE_HOSTS: list[str] = env.list(
    "OUTGOING_ALLOWED_PRIVATE_HOSTS", default=["127.0.0.1", "localhost"] if DEBUG else []
)
try:
    Allowed.of(OUTGOING_ALLOWED_PRIVATE_HOSTS)
except ValueError:
    raise ImproperlyConfigured(
        "OUTGOING_ALLOWED_PRIVATE_HOSTS must be a list of host names and networks, such as idp.corp,10.1.0.0/16"
    ) from None

# --- Git repositories -------------------------------------------------------------------------------------------
GIT_CACHE_DIR = env.str("GIT_CACHE_DIR", default=str(PORTAL_DATA_DIR / "git"))
GIT_ALLOW_FILE_URLS = env.bool("GIT_ALLOW_FILE_URLS", default=False)
GIT_TIMEOUT = env.int("GIT_TIMEOUT", default=300)
GIT_MAX_MB = env.int("GIT_MAX_MB", default=512)
GIT_ALLOWED_PRIVATE_HOSTS: list[str] = env.list("GIT_ALLOWED_PRIVATE_HOSTS", default=[])
try:
    Allowed.of(GIT_ALLOWED_PRIVATE_HOSTS)
except ValueError:
    raise ImproperlyConfigured(
        "GIT_ALLOWED_PRIVATE_HOSTS must be a list of host names and networks, such as git.corp,10.1.0.0/16"
    ) from None

# --- Applications -----------------------------------------------------------------------------------------------
INSTALLED_APPS = [
    # Ahead of the theme and of Django's admin: a template or static file of the same name is taken from the first
    # application that has it.
    "portal",
    "connectors.apps.ConnectorsConfig",
    "unfold",
    "unfold.contrib.filters",
    "unfold.contrib.forms",
    "unfold.contrib.inlines",
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "whitenoise.runserver_nostatic",
    "django.contrib.staticfiles",
    "django.contrib.humanize",
    "django.forms",
    "allauth",
    "allauth.account",
    "allauth.socialaccount",
    "allauth.mfa",
    "allauth.usersessions",
    "csp",
    "django_htmx",
]
MIDDLEWARE = [
    "portal.trace_middleware.TraceMiddleware",
    "portal.health.HealthMiddleware",
    "portal.metrics.MetricsMiddleware",
    "portal.response_headers.ResponseHeadersMiddleware",
    "django.middleware.security.SecurityMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "csp.middleware.CSPMiddleware",
    "portal.upload_limit.UploadLimitMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.gzip.GZipMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "portal.rate_limits.RateLimitMiddleware",
    # A new view is closed until it says otherwise (`login_not_required`).
    "django.contrib.auth.middleware.LoginRequiredMiddleware",
    "portal.denied.DeniedMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "allauth.account.middleware.AccountMiddleware",
    "portal.sign_in.second_factor.SecondFactorMiddleware",
    "portal.sign_in.sessions.LastSeenMiddleware",
    "django_htmx.middleware.HtmxMiddleware",
    "portal.nul.NulMiddleware",
]
ROOT_URLCONF = "portal.urls"
WSGI_APPLICATION = "portal.wsgi.application"
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [BASE_DIR / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ]
        },
    }
]
FORM_RENDERER = "django.forms.renderers.TemplatesSetting"  # widgets of our own have their templates in templates/
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

# --- Database ---------------------------------------------------------------------------------------------------
DATABASES = {"default": env.database("DATABASE_URL", default=f"sqlite:///{PORTAL_DATA_DIR / 'db.sqlite3'}")}
_database = DATABASES["default"]
if "sqlite" in _database["ENGINE"]:
    # IMMEDIATE takes the write lock at BEGIN: a transaction that starts by reading would otherwise fail with
    # "database is locked", at once and whatever the timeout, when it comes to write.
    _database["OPTIONS"] = {
        "transaction_mode": "IMMEDIATE",
        "timeout": 20,
        "init_command": "PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL; PRAGMA foreign_keys=ON;",
    }
    if TESTING:
        # A file, as in production: an in-memory database is one connection shared by all threads.
        _database["TEST"] = {"NAME": str(PORTAL_DATA_DIR / "test.sqlite3")}
else:
    _database["CONN_MAX_AGE"] = env.int("DATABASE_CONN_MAX_AGE", default=60)
    _database["CONN_HEALTH_CHECKS"] = True

# --- Broker and cache: Redis when there is one, the disk when there is none ---------------------------------------
REDIS_URL = env.str("REDIS_URL", default="")
REDIS_PREFIX = env.str("REDIS_PREFIX", default="portal")
if REDIS_URL:
    CACHES = {
        "default": {
            "BACKEND": "django.core.cache.backends.redis.RedisCache",
            "LOCATION": REDIS_URL,
            "KEY_PREFIX": f"{REDIS_PREFIX}:cache",
            "OPTIONS": {"socket_connect_timeout": 2, "socket_timeout": 5},  # seconds; without, a page would hang
        }
    }
    CELERY_BROKER_URL = REDIS_URL
    # A message that no worker has acknowledged is handed out again after `visibility_timeout` seconds; longer than
    # CELERY_TASK_TIME_LIMIT, or a slow task would run twice.
    CELERY_BROKER_TRANSPORT_OPTIONS = {
        "visibility_timeout": 1800,
        "global_keyprefix": f"{REDIS_PREFIX}:broker:",
        "socket_timeout": 30,
        "socket_connect_timeout": 5,
        "health_check_interval": 25,
    }
else:
    CACHES = {
        "default": {
            "BACKEND": "django.core.cache.backends.filebased.FileBasedCache",
            "LOCATION": str(PORTAL_DATA_DIR / "cache"),
            "OPTIONS": {"MAX_ENTRIES": 10_000},
        }
    }
    CELERY_BROKER_URL = "filesystem://localhost"  # the name means nothing; without one, kombu warns
    _broker = PORTAL_DATA_DIR / "broker"
    for _folder in ("queue", "control"):
        (_broker / _folder).mkdir(parents=True, exist_ok=True)
    CELERY_BROKER_TRANSPORT_OPTIONS = {
        "data_folder_in": str(_broker / "queue"),
        "data_folder_out": str(_broker / "queue"),
        "control_folder": str(_broker / "control"),
        "store_processed": False,
        "polling_interval": 0.1,
    }

# --- Background work --------------------------------------------------------------------------------------------
CELERY_ACCEPT_CONTENT = ["json"]
CELERY_TASK_SERIALIZER = "json"
CELERY_TASK_IGNORE_RESULT = True  # what a task did is recorded in rows, where people can see it
CELERY_TASK_ACKS_LATE = True
CELERY_TASK_TIME_LIMIT = 1500
CELERY_TASK_SOFT_TIME_LIMIT = 1200
CELERY_TASK_PUBLISH_RETRY_POLICY = {"max_retries": 3, "interval_start": 0, "interval_step": 0.2, "interval_max": 1}
CELERY_WORKER_PREFETCH_MULTIPLIER = 1  # the broker on disk loses what a killed worker had fetched: fetch no more
CELERY_WORKER_CONCURRENCY = env.int("WORKER_CONCURRENCY", default=8)
CELERY_WORKER_HIJACK_ROOT_LOGGER = False
CELERY_BROKER_CONNECTION_RETRY_ON_STARTUP = True
CELERY_TIMEZONE = "UTC"
CELERY_BEAT_SCHEDULE_FILENAME = str(PORTAL_DATA_DIR / "beat-schedule")
CELERY_BEAT_SCHEDULE = beat_schedule(SYNC_INTERVAL)

# --- Login: django-allauth is the only door ---------------------------------------------------------------------
AUTHENTICATION_BACKENDS = ["connectors.models.role_backend.RoleBackend"]
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": "django.contrib.auth.password_validation.UserAttributeSimilarityValidator"},
    {"NAME": "django.contrib.auth.password_validation.MinimumLengthValidator", "OPTIONS": {"min_length": 12}},
    {"NAME": "django.contrib.auth.password_validation.CommonPasswordValidator"},
    {"NAME": "django.contrib.auth.password_validation.NumericPasswordValidator"},
]
LOGIN_URL = "account_login"
LOGIN_REDIRECT_URL = "admin:index"
LOGOUT_REDIRECT_URL = "account_login"
ACCOUNT_FORMS = {"reset_password": "portal.sign_in.passwords.ResetForm"}
ACCOUNT_ADAPTER = "portal.accounts.AccountAdapter"
ACCOUNT_LOGIN_METHODS = {"username", "email"}
ACCOUNT_SIGNUP_FIELDS = ["email*", "username*", "password1*"]
ACCOUNT_EMAIL_VERIFICATION = "none"
ACCOUNT_SESSION_REMEMBER = False
ACCOUNT_REAUTHENTICATION_TIMEOUT = 900
# Connectors are authorised through allauth's provider classes, and so are logins at a SignInProvider. All are taken by
# path: none is an installed application, so none has an address of its own, and the tables for clients and tokens stay
# empty.
SOCIALACCOUNT_ADAPTER = "portal.sign_in.adapter.SocialAccountAdapter"
SOCIALACCOUNT_STORE_TOKENS = False
SOCIALACCOUNT_REQUESTS_TIMEOUT = 10
SIGN_IN_ALLOWED_PRIVATE_HOSTS: list[str] = env.list("SIGN_IN_ALLOWED_PRIVATE_HOSTS", default=[])
try:
    Allowed.of(SIGN_IN_ALLOWED_PRIVATE_HOSTS)
except ValueError:
    raise ImproperlyConfigured(
        "SIGN_IN_ALLOWED_PRIVATE_HOSTS must be a list of host names and networks, such as idp.corp,10.1.0.0/16"
    ) from None
MFA_ADAPTER = "portal.sign_in.second_factor.MFAAdapter"
MFA_FORMS = {
    "login_webauthn": "portal.sign_in.passkeys.LoginForm",
    "authenticate_webauthn": "portal.sign_in.passkeys.AuthenticateForm",
    "reauthenticate_webauthn": "portal.sign_in.passkeys.ReauthenticateForm",
}
MFA_REQUIRED = env.bool("MFA_REQUIRED", default=not (DEBUG or TESTING))
MFA_SUPPORTED_TYPES = ["totp", "webauthn", "recovery_codes"]
MFA_PASSKEY_LOGIN_ENABLED = True
MFA_RECOVERY_CODES_SHOW_ONCE = True
MFA_RECOVERY_CODE_DIGITS = 10
MFA_ALLOW_UNVERIFIED_EMAIL = True  # accounts come from administrators and invitations, never from a visitor
SESSION_COOKIE_AGE = env.int("SESSION_COOKIE_AGE", default=43_200)
if SESSION_COOKIE_AGE < 600:
    raise ImproperlyConfigured("SESSION_COOKIE_AGE must be a number of seconds, at least 600")
# Counted for all processes together (portal/rate_limits.py); None limits nobody.
RATE_LIMITS = rate_limit_numbers(env.list("RATE_LIMITS", default=["off"] if TESTING else ["on"]))
ACCOUNT_RATE_LIMITS = {"login": None, "login_failed": "10/m/ip,5/300s/key"} if RATE_LIMITS else False

# --- HTTPS ------------------------------------------------------------------------------------------------------
# Without DEBUG everything is on; HTTPS=off is for a portal that only a private network reaches.
HTTPS = env.bool("HTTPS", default=not DEBUG)
SECURE_SSL_REDIRECT = env.bool("SECURE_SSL_REDIRECT", default=HTTPS)
SECURE_HSTS_SECONDS = env.int("SECURE_HSTS_SECONDS", default=31_536_000 if HTTPS else 0)
SECURE_HSTS_INCLUDE_SUBDOMAINS = env.bool("SECURE_HSTS_INCLUDE_SUBDOMAINS", default=HTTPS)
SECURE_HSTS_PRELOAD = env.bool("SECURE_HSTS_PRELOAD", default=HTTPS)
# Browsers take a cookie of such a name only from this very host, over HTTPS and for all paths: no sub-domain sets it.
SESSION_COOKIE_NAME = "__Host-sessionid" if HTTPS else "sessionid"
CSRF_COOKIE_NAME = "__Host-csrftoken" if HTTPS else "csrftoken"
SESSION_COOKIE_SECURE = HTTPS
# Over HTTP browsers give passkeys to localhost alone.
MFA_WEBAUTHN_ALLOW_INSECURE_ORIGIN = not HTTPS
CSRF_COOKIE_SECURE = HTTPS
SESSION_COOKIE_HTTPONLY = True
CSRF_COOKIE_HTTPONLY = True
CSRF_FAILURE_VIEW = "portal.denied.form_out_of_date"
SESSION_COOKIE_SAMESITE = "Lax"
CSRF_COOKIE_SAMESITE = "Lax"
SECURE_REFERRER_POLICY = "same-origin"
SECURE_CROSS_ORIGIN_OPENER_POLICY = "same-origin"
X_FRAME_OPTIONS = "DENY"
# Only for a portal behind a proxy that always sets X-Forwarded-Proto itself: otherwise anyone can claim HTTPS.
BEHIND_PROXY = env.bool("BEHIND_PROXY", default=False)
if BEHIND_PROXY:
    SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")
    ALLAUTH_TRUSTED_PROXY_COUNT = 1

CONTENT_SECURITY_POLICY = {
    "DIRECTIVES": {
        "default-src": [SELF],
        "script-src": [SELF],
        "style-src": [SELF],
        "img-src": [SELF, "data:"],
        "font-src": [SELF],
        "connect-src": [SELF],
        "object-src": [NONE],
        "base-uri": [SELF],
        "frame-ancestors": [NONE],
        # Base44's consent pages are links that open in a new tab, never where a form leads to.
        "form-action": [SELF],
    }
}

# --- Static files, uploads --------------------------------------------------------------------------------------
STATIC_URL = "/static/"
STATIC_ROOT = env.str("STATIC_ROOT", default=str(PORTAL_DATA_DIR / "static"))
with contextlib.suppress(OSError):  # read-only in a container, where the image brings it along
    Path(STATIC_ROOT).mkdir(parents=True, exist_ok=True)
_manifest = not (DEBUG or TESTING)
STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
    "staticfiles": {
        "BACKEND": "whitenoise.storage.CompressedManifestStaticFilesStorage"
        if _manifest
        else "django.contrib.staticfiles.storage.StaticFilesStorage"
    },
}
WHITENOISE_USE_FINDERS = not _manifest
WHITENOISE_AUTOREFRESH = not _manifest
MEDIA_ROOT = str(PORTAL_DATA_DIR / "media")
UPLOAD_MAX_BYTES = env.int("UPLOAD_MAX_BYTES", default=10 * 1024 * 1024)
DATA_UPLOAD_MAX_MEMORY_SIZE = UPLOAD_MAX_BYTES
FILE_UPLOAD_MAX_MEMORY_SIZE = 2 * 1024 * 1024
# A bulk action on one page of a list posts one field per row.
DATA_UPLOAD_MAX_NUMBER_FIELDS = 10_000

# --- Language and time ------------------------------------------------------------------------------------------
LANGUAGE_CODE = "en"
USE_I18N = True
USE_TZ = True
TIME_ZONE = env.time_zone("TIME_ZONE", default="UTC")
FORMAT_MODULE_PATH = ["portal.formats"]

# --- E-mail: password resets and warnings of tokens that end, and only where EMAIL_URL is set ---------------------
EMAIL_CONFIGURED = bool(env.str("EMAIL_URL", default=""))
if EMAIL_CONFIGURED:
    vars().update(env.email_url("EMAIL_URL"))
DEFAULT_FROM_EMAIL = env.str("DEFAULT_FROM_EMAIL", default="portal@localhost")
SERVER_EMAIL = DEFAULT_FROM_EMAIL
INVITATION_DOMAINS: list[str] = env.list("INVITATION_DOMAINS", default=[])

# --- Watching the portal ----------------------------------------------------------------------------------------
METRICS_TOKEN = checks.require_metrics_token(env.str("METRICS_TOKEN", default=""))
WORKER_SILENT_AFTER = env.int("WORKER_SILENT_AFTER", default=60)
SCHEDULER_LATE_AFTER = env.int("SCHEDULER_LATE_AFTER", default=120)
TOKEN_LATE_AFTER = env.int("TOKEN_LATE_AFTER", default=900)

# --- Logs -------------------------------------------------------------------------------------------------------
LOG_LEVEL = env.choice("LOG_LEVEL", ("DEBUG", "INFO", "WARNING", "ERROR"), default="INFO")
LOG_FORMAT = env.choice("LOG_FORMAT", ("text", "json"), default="text")
DEFAULT_EXCEPTION_REPORTER = "portal.error_report.Report"
DEFAULT_EXCEPTION_REPORTER_FILTER = "portal.error_report.ReportFilter"
LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {
        "text": {"()": "portal.log_format.TextFormatter"},
        "json": {"()": "portal.log_format.JsonFormatter"},
    },
    "filters": {
        "redact": {"()": "portal.redaction.RedactingFilter"},
        "trace": {"()": "portal.log_format.TraceFilter"},
    },
    "handlers": {
        "console": {"class": "logging.StreamHandler", "formatter": LOG_FORMAT, "filters": ["redact", "trace"]}
    },
    "root": {"handlers": ["console"], "level": LOG_LEVEL},
    "loggers": {
        "django": {"handlers": [], "propagate": True},
        "django.server": {"handlers": [], "propagate": True},
        # At INFO, Celery logs each task's arguments' and results' text; ours are ids, still nothing to keep.
        "celery.app.trace": {"level": "WARNING"},
        "urllib3": {"level": "WARNING"},
        # At DEBUG it writes down what a template was given, and an error report is a template too.
        "django.template": {"level": "INFO"},
        # Scanners ask for hosts that are not ours all day; the answer is 400, and a traceback each time helps nobody.
        "django.security.DisallowedHost": {"level": "CRITICAL"},
    },
}

if TESTING:
    PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
