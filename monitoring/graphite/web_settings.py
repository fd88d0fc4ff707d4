"""Graphite-web in the stack: it reads what carbon keeps and asks carbon for the rest; nobody logs in."""

import secrets

SECRET_KEY = secrets.token_hex()
ALLOWED_HOSTS = ["*"]
TIME_ZONE = "UTC"
CONF_DIR = "/stack/graphite"
STORAGE_DIR = LOG_DIR = "/var/tmp"  # noqa: S108  the volume
WHISPER_DIR = "/var/tmp/whisper"  # noqa: S108
LOG_ROTATION = False
LOG_FILE_INFO = LOG_FILE_EXCEPTION = LOG_FILE_CACHE = LOG_FILE_RENDERING = "-"
LOG_RENDERING_PERFORMANCE = LOG_CACHE_PERFORMANCE = LOG_INFO_PERFORMANCE = False
CARBONLINK_HOSTS = ["127.0.0.1:7002"]
FIND_CACHE_DURATION = 0
DEFAULT_CACHE_DURATION = 10
TAGDB = None
USE_WORKER_POOL = False
DEFAULT_AUTO_FIELD = "django.db.models.AutoField"
