"""Tables, users and keys. Says who may call and what signs: `python -m tests.load.prepare`."""

import json
import secrets

import django
from django.conf import settings

USERS, KEYS = 200, 30


def sign_in(user):
    """The headers of a session of this user's."""
    from django.contrib.auth import BACKEND_SESSION_KEY, HASH_SESSION_KEY, SESSION_KEY
    from django.contrib.sessions.backends.db import SessionStore

    session = SessionStore()
    session[SESSION_KEY] = str(user.pk)
    session[BACKEND_SESSION_KEY] = settings.AUTHENTICATION_BACKENDS[0]
    session[HASH_SESSION_KEY] = user.get_session_auth_hash()
    session.create()
    csrf = "a" * 32
    return {"Cookie": f"sessionid={session.session_key}; csrftoken={csrf}", "X-CSRFToken": csrf}


def prepare():
    from django.contrib.auth.models import User
    from django.core.management import call_command
    from rest_framework.authtoken.models import Token

    from usersig_django.models import Application, SigningKey

    call_command("migrate", verbosity=0)
    callers = {}
    for number in range(USERS):
        user = User.objects.create(username=f"user{number}")
        token = Token.objects.create(user=user)
        callers[user.pk] = sign_in(user) if number % 2 else {"Authorization": f"Token {token.key}"}
    application = Application.objects.create(environment="load", sdkappid=settings.SDKAPPID)
    keys = {}
    for _ in range(KEYS):
        secret = secrets.token_hex(32)
        key = SigningKey(application=application, secret=secret)
        key.save()
        keys[key.fingerprint] = secret
    application.activate(key)
    return {"callers": callers, "keys": keys}


if __name__ == "__main__":
    django.setup()
    print(json.dumps(prepare()))  # noqa: T201  # what the test reads
