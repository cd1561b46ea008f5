"""Django settings, all from the environment. Without any variable: one machine, one data directory, nothing to install.

See docs/settings.md for every variable.
"""

from __future__ import annotations

import secrets
from pathlib import Path

import dj_database_url
from csp.constants import NONE, SELF
from django.utils.translation import gettext_lazy as _

from mlplatform.core.env import (
    data_dir,
    env_flag,
    env_int,
    env_list,
    env_networks,
    env_text,
    env_token,
    runtime_dir,
)

BASE_DIR = Path(__file__).resolve().parent.parent
DATA_DIR = data_dir()
RUNTIME_DIR = runtime_dir()
DEBUG = env_flag("MLPLATFORM_DEBUG")
# For the doctor, who signs nothing and must be able to look where nothing can be written.
_LOOKS_ONLY = env_flag("MLPLATFORM_LOOKS_ONLY")


def _secret_key() -> str:
    """The key of `MLPLATFORM_SECRET_KEY`, else the one in the data directory, made there on first use."""
    if _LOOKS_ONLY:
        return secrets.token_urlsafe(48)
    given = env_text("MLPLATFORM_SECRET_KEY")
    if given:
        return given
    path = DATA_DIR / "secret_key"
    if not path.exists():
        DATA_DIR.mkdir(mode=0o700, parents=True, exist_ok=True)
        try:
            with path.open("x", encoding="ascii") as file:
                path.chmod(0o600)
                file.write(secrets.token_urlsafe(48))
        except FileExistsError:
            pass
    return path.read_text(encoding="ascii").strip()


SECRET_KEY = _secret_key()
ALLOWED_HOSTS = ["localhost", "127.0.0.1", "[::1]", *env_list("MLPLATFORM_ALLOWED_HOSTS")]
CSRF_TRUSTED_ORIGINS = list(env_list("MLPLATFORM_TRUSTED_ORIGINS"))

# Processes that answer no page (worker, host, gateway, scheduler) leave the faces out, for memory and start-up time.
_FACES = [
    "django.contrib.admin",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "django_ace",
    "django_htmx",
    "rest_framework",
    "drf_spectacular",
    "drf_spectacular_sidecar",
    "csp",
    "mlplatform.api",
    "mlplatform.web",
]
INSTALLED_APPS = [
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "mlplatform.core",
    "jobs",
    "endpoints",
    "monitoring",
    *(_FACES if env_flag("MLPLATFORM_FACES", True) else []),
]

MIDDLEWARE = [
    "django.middleware.security.SecurityMiddleware",
    "csp.middleware.CSPMiddleware",
    "mlplatform.core.request_id.RequestIdMiddleware",
    "mlplatform.core.audit.middleware.AuditOriginMiddleware",
    "mlplatform.web.sessions.ReadingSessionMiddleware",
    "django.middleware.locale.LocaleMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "mlplatform.web.middleware.SignedInMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "django_htmx.middleware.HtmxMiddleware",
    "mlplatform.web.middleware.ProblemPageMiddleware",
]

ROOT_URLCONF = "mlplatform.urls"
ASGI_APPLICATION = "mlplatform.asgi.application"

TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [BASE_DIR / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "builtins": [
                "django.templatetags.i18n",
                "django.templatetags.static",
                "django.templatetags.l10n",
                "mlplatform.web.templatetags.ui",
                "mlplatform.web.templatetags.figures",
                "mlplatform.web.templatetags.jobs",
                "mlplatform.web.templatetags.evaluations",
                "mlplatform.web.templatetags.experiments",
            ],
            "context_processors": [
                "django.template.context_processors.request",
                "django.template.context_processors.i18n",
                "django.template.context_processors.static",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
                "mlplatform.web.context.navigation",
            ],
        },
    },
]

# Database: SQLite in WAL mode unless DATABASE_URL says otherwise.
DATABASES = {
    "default": dj_database_url.parse(
        env_text("DATABASE_URL") or f"sqlite:///{DATA_DIR / 'db.sqlite3'}",
        conn_max_age=60,
        conn_health_checks=True,
    )
}
if DATABASES["default"]["ENGINE"] == "django.db.backends.sqlite3":
    # Only a database that is about to be made takes this, and for an old one every new connection would write.
    _IS_NEW = not Path(str(DATABASES["default"]["NAME"])).exists()
    DATABASES["default"]["OPTIONS"] = {
        "transaction_mode": "IMMEDIATE",
        "timeout": 30,
        "init_command": (
            f"{'PRAGMA auto_vacuum=INCREMENTAL; ' if _IS_NEW else ''}"
            "PRAGMA journal_mode=WAL; PRAGMA journal_size_limit=67108864; PRAGMA synchronous=NORMAL; "
            "PRAGMA cache_size=-16000; PRAGMA mmap_size=134217728;"
        ),
    }
    DATABASES["default"]["TEST"] = {"NAME": str(DATA_DIR / "test.sqlite3")}
else:
    # Without these a connection to a machine that vanished is waited for until the kernel gives up, for hours.
    _PATIENCE = {
        "connect_timeout": 5,
        "keepalives_idle": 10,
        "keepalives_interval": 5,
        "keepalives_count": 3,
        "tcp_user_timeout": 30_000,
    }
    DATABASES["default"]["OPTIONS"] = _PATIENCE | DATABASES["default"].get("OPTIONS", {})
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

# Objects
OBJECT_STORE_URL = env_text("OBJECT_STORE_URL") or f"file://{DATA_DIR / 'store'}"
MLPLATFORM_UPLOAD_LIMIT_BYTES = env_int("MLPLATFORM_UPLOAD_LIMIT_BYTES", 5 * 1024**3)
MLPLATFORM_UPLOADS_PER_USER = env_int("MLPLATFORM_UPLOADS_PER_USER", 10, least=1)
MLPLATFORM_UPLOAD_EXPIRY_S = env_int("MLPLATFORM_UPLOAD_EXPIRY_S", 24 * 3600, least=60)
MLPLATFORM_LOG_LIMIT_BYTES = env_int("MLPLATFORM_LOG_LIMIT_BYTES", 256 * 1024**2)
MLPLATFORM_STORE_PATIENCE_S = env_int("MLPLATFORM_STORE_PATIENCE_S", 300)
MLPLATFORM_PUBLIC_URL = env_text("MLPLATFORM_PUBLIC_URL")
MLPLATFORM_OUTBOUND_NETWORKS = env_networks("MLPLATFORM_OUTBOUND_NETWORKS")
DATA_UPLOAD_MAX_MEMORY_SIZE = 10 * 1024**2
FILE_UPLOAD_TEMP_DIR = str(DATA_DIR / "tmp")
if not _LOOKS_ONLY:
    Path(FILE_UPLOAD_TEMP_DIR).mkdir(mode=0o700, parents=True, exist_ok=True)
FILE_UPLOAD_HANDLERS = ["django.core.files.uploadhandler.TemporaryFileUploadHandler"]

# Scripts of users
MLPLATFORM_SCRIPT_NETWORK = env_flag("MLPLATFORM_SCRIPT_NETWORK")
MLPLATFORM_JOB_DISK_BYTES = env_int("MLPLATFORM_JOB_DISK_BYTES", 30 * 1024**3)
MLPLATFORM_KEEP_ENVIRONMENTS_DAYS = env_int("MLPLATFORM_KEEP_ENVIRONMENTS_DAYS", 30)

# Captured requests on the gateway's disk until they are stored
MLPLATFORM_CAPTURE_SPOOL_BYTES = env_int("MLPLATFORM_CAPTURE_SPOOL_BYTES", 1024**3, least=1024**2)
MLPLATFORM_CAPTURE_RECORD_BYTES = env_int("MLPLATFORM_CAPTURE_RECORD_BYTES", 8 * 1024**2, least=1024)
MLPLATFORM_CAPTURE_FLUSH_S = env_int("MLPLATFORM_CAPTURE_FLUSH_S", 60, least=1)

# How much at once
MLPLATFORM_EXPERIMENT_CELLS_MAX = env_int("MLPLATFORM_EXPERIMENT_CELLS_MAX", 500, least=1)
MLPLATFORM_TUNING_PARALLEL_MAX = env_int("MLPLATFORM_TUNING_PARALLEL_MAX", 10, least=1)

# Job processes that are started before their jobs
MLPLATFORM_WARM_PROCESSES = env_int("MLPLATFORM_WARM_PROCESSES", 2, least=1)
MLPLATFORM_WARM_IDLE_S = env_int("MLPLATFORM_WARM_IDLE_S", 120, least=1)

# How long what is kept, in days; 0 for ever
MLPLATFORM_KEEP_LOGS_DAYS = env_int("MLPLATFORM_KEEP_LOGS_DAYS", 90)
MLPLATFORM_KEEP_METRICS_DAYS = env_int("MLPLATFORM_KEEP_METRICS_DAYS", 90)
MLPLATFORM_KEEP_TRAFFIC_DAYS = env_int("MLPLATFORM_KEEP_TRAFFIC_DAYS", 90)
MLPLATFORM_KEEP_REPLICA_RUNS_DAYS = env_int("MLPLATFORM_KEEP_REPLICA_RUNS_DAYS", 400)
MLPLATFORM_KEEP_TABLE_RUNS_DAYS = env_int("MLPLATFORM_KEEP_TABLE_RUNS_DAYS", 90)
MLPLATFORM_KEEP_EVALUATIONS_DAYS = env_int("MLPLATFORM_KEEP_EVALUATIONS_DAYS", 0)
MLPLATFORM_KEEP_TRANSFORM_JOBS_DAYS = env_int("MLPLATFORM_KEEP_TRANSFORM_JOBS_DAYS", 0)
MLPLATFORM_KEEP_ASYNC_DAYS = env_int("MLPLATFORM_KEEP_ASYNC_DAYS", 30)
MLPLATFORM_KEEP_CAPTURE_DAYS = env_int("MLPLATFORM_KEEP_CAPTURE_DAYS", 0)
MLPLATFORM_KEEP_AUDIT_DAYS = env_int("MLPLATFORM_KEEP_AUDIT_DAYS", 400)
# In less time what is under way (an upload, a table run of an hour) would look left over.
MLPLATFORM_ORPHAN_GRACE_S = env_int("MLPLATFORM_ORPHAN_GRACE_S", 24 * 3600, least=2 * 3600)
MLPLATFORM_DISK_FLOOR_BYTES = env_int("MLPLATFORM_DISK_FLOOR_BYTES", -1)

# What Prometheus sends to be told /metrics; none: there is no such address
MLPLATFORM_METRICS_TOKEN = env_token("MLPLATFORM_METRICS_TOKEN")

# Celery
CELERY_BROKER_URL = env_text("CELERY_BROKER_URL") or f"redis+socket://{RUNTIME_DIR / 'redis.sock'}"
CELERY_TASK_IGNORE_RESULT = True
CELERY_TASK_ACKS_LATE = False
CELERY_TASK_DEFAULT_QUEUE = "cpu"
CELERY_WORKER_PREFETCH_MULTIPLIER = 1
CELERY_BROKER_CONNECTION_RETRY_ON_STARTUP = True
CELERY_BROKER_CONNECTION_MAX_RETRIES = None
CELERY_WORKER_HIJACK_ROOT_LOGGER = False
CELERY_WORKER_SEND_TASK_EVENTS = False
# A sender does not wait for a broker that is away: the sweeper sends again. The worker has a retrying of its own.
CELERY_BROKER_TRANSPORT_OPTIONS = {
    "socket_connect_timeout": 2,
    "socket_timeout": 2,
    "socket_keepalive": True,
    "max_retries": 0,
    "interval_start": 0,
    "interval_step": 0,
    "interval_max": 0,
}

# People
AUTHENTICATION_BACKENDS = ["mlplatform.core.people.sign_in.ThrottledBackend"]
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": "django.contrib.auth.password_validation.UserAttributeSimilarityValidator"},
    {"NAME": "django.contrib.auth.password_validation.MinimumLengthValidator", "OPTIONS": {"min_length": 10}},
    {"NAME": "django.contrib.auth.password_validation.CommonPasswordValidator"},
]
LOGIN_URL = "web:login"
LOGIN_REDIRECT_URL = "web:home"
LOGOUT_REDIRECT_URL = "web:login"
SESSION_COOKIE_HTTPONLY = True
SESSION_COOKIE_SAMESITE = "Lax"
SESSION_ENGINE = "mlplatform.core.people.sessions"
SESSION_COOKIE_AGE = env_int("MLPLATFORM_SESSION_IDLE_S", 24 * 3600)
MLPLATFORM_SESSION_MAX_S = env_int("MLPLATFORM_SESSION_MAX_S", 14 * 24 * 3600)
CSRF_COOKIE_SAMESITE = "Lax"
CSRF_FAILURE_VIEW = "mlplatform.web.views.problems.csrf_failure"
SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")
SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = MLPLATFORM_PUBLIC_URL.startswith("https://")
if SESSION_COOKIE_SECURE:  # a name that a browser lets no other host or plain page set
    SESSION_COOKIE_NAME, CSRF_COOKIE_NAME = "__Host-sessionid", "__Host-csrftoken"
SECURE_CONTENT_TYPE_NOSNIFF = True
SECURE_REFERRER_POLICY = "same-origin"
X_FRAME_OPTIONS = "DENY"
USE_X_FORWARDED_HOST = False
CONTENT_SECURITY_POLICY = {
    "DIRECTIVES": {
        "default-src": [NONE],
        "script-src": [SELF],
        "style-src": [SELF],
        "img-src": [SELF, "data:", "blob:"],
        "font-src": [SELF],
        "connect-src": [SELF],
        "form-action": [SELF],
        "frame-ancestors": [NONE],
        "base-uri": [NONE],
    }
}

# Languages
LANGUAGE_CODE = "en"
LANGUAGES = [("en", _("English")), ("ja", _("Japanese"))]
LOCALE_PATHS = [BASE_DIR / "mlplatform" / "locale"]
USE_I18N = True
USE_TZ = True
TIME_ZONE = "UTC"

# Static files: ours and those of installed packages, none from a CDN.
STATIC_URL = "/static/"
STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
    "staticfiles": {"BACKEND": "mlplatform.web.assets.VersionedStorage"},
}
STATICFILES_DIRS = [BASE_DIR / "static"]
STATICFILES_FINDERS = [
    "django.contrib.staticfiles.finders.FileSystemFinder",
    "django.contrib.staticfiles.finders.AppDirectoriesFinder",
    "mlplatform.web.assets.PackageAssetsFinder",
]

REST_FRAMEWORK = {
    "DEFAULT_AUTHENTICATION_CLASSES": [
        "mlplatform.api.auth.AccessKeyAuthentication",
        "rest_framework.authentication.SessionAuthentication",
    ],
    "DEFAULT_PERMISSION_CLASSES": ["mlplatform.api.auth.DenyByDefault"],
    "DEFAULT_RENDERER_CLASSES": ["rest_framework.renderers.JSONRenderer"],
    "DEFAULT_PARSER_CLASSES": ["rest_framework.parsers.JSONParser"],
    "DEFAULT_SCHEMA_CLASS": "drf_spectacular.openapi.AutoSchema",
    "EXCEPTION_HANDLER": "mlplatform.api.errors.problem_response",
    "UNAUTHENTICATED_USER": None,
    "COERCE_DECIMAL_TO_STRING": False,
}
SPECTACULAR_SETTINGS = {
    "TITLE": "mlplatform REST API",
    "DESCRIPTION": "Datasets, training jobs, models and endpoints of mlplatform.",
    "VERSION": "1",
    "OAS_VERSION": "3.1.0",
    "SERVE_INCLUDE_SCHEMA": False,
    "SERVE_PERMISSIONS": ["rest_framework.permissions.AllowAny"],
    "POSTPROCESSING_HOOKS": [],
    "SCHEMA_PATH_PREFIX": "/api/v1",
    "SORT_OPERATION_PARAMETERS": False,
}

LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {"line": {"format": "%(levelname)s %(name)s: %(message)s"}},
    "handlers": {"console": {"class": "logging.StreamHandler", "formatter": "line"}},
    "root": {"handlers": ["console"], "level": env_text("MLPLATFORM_LOG_LEVEL") or "INFO"},
    "loggers": {
        "django.request": {"level": "ERROR"},
        "django.security.DisallowedHost": {"level": "CRITICAL"},  # answered with 400; anybody can send one
        "django.server": {"level": "WARNING"},
        "celery": {"level": "WARNING"},
        "kombu": {"level": "WARNING"},
    },
}
