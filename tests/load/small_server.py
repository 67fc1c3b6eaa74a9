"""Serves `tests.load.small_project` in one process and one thread: `python -m tests.load.small_server
'{"ENGINE": …, "NAME": …}'`. Says its port, and what a request carries for each way to sign in, as JSON."""

import json
import sys
import time
from wsgiref.simple_server import WSGIRequestHandler, make_server

import django
from cryptography.fernet import Fernet
from django.conf import settings

read_clock = time.time


def configure(database):
    settings.configure(
        ALLOWED_HOSTS=["127.0.0.1"],
        DATABASES={"default": database},
        DEFAULT_AUTO_FIELD="django.db.models.BigAutoField",
        INSTALLED_APPS=[
            "django.contrib.auth",
            "django.contrib.contenttypes",
            "django.contrib.sessions",
            "rest_framework",
            "rest_framework.authtoken",
            "usersig_django",
        ],
        LOGGING={
            "version": 1,
            "disable_existing_loggers": False,
            "formatters": {"plain": {"format": "%(levelname)s %(name)s %(message)s"}},
            "handlers": {"stderr": {"class": "logging.StreamHandler", "formatter": "plain"}},
            "root": {"handlers": ["stderr"], "level": "WARNING"},
        },
        NOW=None,
        MIDDLEWARE=[
            "django.contrib.sessions.middleware.SessionMiddleware",
            "django.middleware.common.CommonMiddleware",
            "django.middleware.csrf.CsrfViewMiddleware",
            "django.contrib.auth.middleware.AuthenticationMiddleware",
        ],
        REST_FRAMEWORK={
            "DEFAULT_AUTHENTICATION_CLASSES": [
                "tests.load.small_project.ByHeader",
                "rest_framework.authentication.SessionAuthentication",
                "rest_framework.authentication.TokenAuthentication",
            ]
        },
        ROOT_URLCONF="tests.load.small_project",
        SECRET_KEY="small" * 10,
        USERSIG={"ENCRYPTION_KEYS": [Fernet.generate_key().decode()]},
        USE_TZ=True,
    )


def seed():
    """Tables, a user, a record with a key."""
    from django.contrib.auth.models import User
    from django.core.management import call_command
    from rest_framework.authtoken.models import Token

    from tests.load.prepare import sign_in
    from tests.load.small_project import SDKAPPID, SECRET_KEY
    from usersig_django.models import Application, SigningKey

    call_command("migrate", verbosity=0)
    user = User.objects.create(username="alice")
    application = Application.objects.create(environment="recorded", sdkappid=SDKAPPID)
    key = SigningKey(application=application, secret=SECRET_KEY)
    key.save()
    application.activate(key)
    return {
        "encryption_keys": settings.USERSIG["ENCRYPTION_KEYS"],
        "callers": {
            "session": sign_in(user),
            "token": {"Authorization": f"Token {Token.objects.create(user=user).key}"},
            "header": {"X-User": str(user.pk)},
        },
    }


def serve(seeded):
    from django.core.wsgi import get_wsgi_application
    from django.db import connections

    connections.close_all()
    WSGIRequestHandler.log_message = lambda *_arguments: None
    server = make_server("127.0.0.1", 0, get_wsgi_application())
    sys.stdout.write(json.dumps({"port": server.server_port, **seeded}) + "\n")
    sys.stdout.flush()
    server.serve_forever()


if __name__ == "__main__":
    configure(json.loads(sys.argv[1]))
    # Before DRF is imported, whose throttle keeps `time.time` as a method of its own.
    time.time = lambda *_self: settings.NOW or read_clock()
    django.setup()
    serve(seed())
