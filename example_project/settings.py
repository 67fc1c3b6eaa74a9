"""A small backend that uses usersig_django. Every value can come from the environment, from a file named by
`<NAME>_FILE`, or from `.env` (see `.env.example`); without any of them it runs with a demo application."""

from pathlib import Path

import environ  # type: ignore[import-untyped]  # it comes without types

BASE_DIR = Path(__file__).resolve().parent.parent

env = environ.FileAwareEnv()
environ.Env.read_env(BASE_DIR / ".env")

DEBUG = env.bool("DEBUG", default=True)
# Good for trying it out and nothing else: `check --deploy` refuses it.
SECRET_KEY = env.str("SECRET_KEY", default="django-insecure-example-project")
ALLOWED_HOSTS = env.list("ALLOWED_HOSTS", default=["localhost", "127.0.0.1", "[::1]"])
CSRF_TRUSTED_ORIGINS = env.list("CSRF_TRUSTED_ORIGINS", default=[])

# Off while debugging, so that http://localhost works.
SECURE_SSL_REDIRECT = SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = not DEBUG
SECURE_HSTS_SECONDS = env.int("HSTS_SECONDS", default=0)
SECURE_HSTS_INCLUDE_SUBDOMAINS = SECURE_HSTS_PRELOAD = SECURE_HSTS_SECONDS > 0
# Only behind a proxy that sets this header itself: a client could send it too.
if env.bool("BEHIND_TLS_PROXY", default=False):
    SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")

INSTALLED_APPS = [
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "rest_framework",
    "rest_framework.authtoken",
    "drf_spectacular",
    "usersig_django",
    "example_project",
]

MIDDLEWARE = [
    "django.middleware.security.SecurityMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.locale.LocaleMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
]

ROOT_URLCONF = "example_project.urls"
WSGI_APPLICATION = "example_project.wsgi.application"
ASGI_APPLICATION = "example_project.asgi.application"

TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ],
        },
    },
]

DATABASES = {"default": env.db("DATABASE_URL", default=f"sqlite:///{BASE_DIR / 'db.sqlite3'}")}
CACHES = {"default": env.cache("CACHE_URL", default="locmemcache://")}
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

LANGUAGE_CODE = "en-us"
LANGUAGES = [
    ("en", "English"),
    ("zh-hans", "简体中文"),
    ("zh-hant", "繁體中文"),
    ("ko", "한국어"),
    ("ja", "日本語"),
]
TIME_ZONE = "UTC"
USE_TZ = True

STATIC_URL = "static/"
STATIC_ROOT = BASE_DIR / "staticfiles"
LOGIN_URL = "login"
LOGIN_REDIRECT_URL = "home"

REST_FRAMEWORK = {
    "DEFAULT_AUTHENTICATION_CLASSES": [
        "rest_framework.authentication.SessionAuthentication",
        "rest_framework.authentication.TokenAuthentication",
    ],
    "DEFAULT_SCHEMA_CLASS": "drf_spectacular.openapi.AutoSchema",
}
SPECTACULAR_SETTINGS = {"TITLE": "usersig_django example", "VERSION": "1"}

USERSIG = {
    "ENVIRONMENT": env.str("USERSIG_ENVIRONMENT", default="demo"),
    "APPLICATIONS": {},
    "ENCRYPTION_KEYS": env.list("USERSIG_ENCRYPTION_KEYS", default=[]),
    "ROOM_POLICY": "example_project.rooms.room_policy",
}
if sdkappid := env.int("USERSIG_SDKAPPID", default=0):
    USERSIG["APPLICATIONS"] = {
        USERSIG["ENVIRONMENT"]: {"SDKAPPID": sdkappid, "SECRET_KEY": env.str("USERSIG_SECRET_KEY")}
    }
elif USERSIG["ENVIRONMENT"] == "demo":
    # No application has this key: its UserSigs are well-formed and log in nowhere. A check says so.
    USERSIG["APPLICATIONS"] = {
        "demo": {"SDKAPPID": 1400000000, "SECRET_KEY": "demo-key-that-no-application-of-tencent-has-00000"}
    }

# Django's default LOGGING hides INFO, and with it the audit trail.
LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "handlers": {"console": {"class": "logging.StreamHandler"}},
    "loggers": {"usersig_django.audit": {"handlers": ["console"], "level": "INFO"}},
}
