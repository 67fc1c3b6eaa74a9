"""Installed and nothing more: a project of another make (its own user model with a UUID key, token
authentication) follows the README, and an independent reader of the protocol accepts what it answers.

    python foreign_project.py README.md EMPTY-FOLDER
"""

import base64
import hashlib
import hmac
import json
import os
import re
import subprocess
import sys
import textwrap
import time
import uuid
import zlib
from pathlib import Path

readme, folder = Path(sys.argv[1]).read_text(encoding="utf-8"), Path(sys.argv[2])
SECRET_KEY = "0123456789abcdef" * 4

settings_steps, urls_steps = (
    textwrap.dedent(block) for block in re.findall(r"^ +```python\n(.*?)^ +```$", readme, re.DOTALL | re.MULTILINE)
)

subprocess.run([sys.executable, "-m", "django", "startproject", "shop", str(folder)], check=True)
people = folder / "people"
people.mkdir()
(people / "__init__.py").touch()
(people / "models.py").write_text(
    "import uuid\n"
    "from django.contrib.auth.models import AbstractUser\n"
    "from django.db import models\n\n"
    "class Person(AbstractUser):\n"
    "    id = models.UUIDField(primary_key=True, default=uuid.uuid4)\n"
)
with (folder / "shop/settings.py").open("a") as settings:
    settings.write(
        'INSTALLED_APPS += ["rest_framework.authtoken", "people"]\n'
        'AUTH_USER_MODEL = "people.Person"\n'
        'REST_FRAMEWORK = {"DEFAULT_AUTHENTICATION_CLASSES": '
        '["rest_framework.authentication.TokenAuthentication"]}\n' + settings_steps
    )
with (folder / "shop/urls.py").open("a") as urls:
    urls.write(urls_steps)


def manage(*command: str) -> str:
    environment = {"PATH": os.environ["PATH"], "USERSIG_SECRET_KEY": SECRET_KEY}
    done = subprocess.run(
        [sys.executable, "manage.py", *command],
        cwd=folder,
        env=environment,
        check=True,
        stdout=subprocess.PIPE,
        text=True,
    )
    return done.stdout


def claims(usersig: str, userid: str) -> dict[str, object]:
    """PROTOCOL 1 in a few lines that share nothing with the package."""
    text = usersig.translate(str.maketrans("*-_", "+/="))
    document = json.loads(zlib.decompress(base64.b64decode(text, validate=True)))
    signed = "".join(
        f"TLS.{name}:{document[f'TLS.{name}']}\n" for name in ("identifier", "sdkappid", "time", "expire")
    )
    signature = base64.b64encode(hmac.digest(SECRET_KEY.encode(), signed.encode(), hashlib.sha256)).decode()
    assert document["TLS.sig"] == signature, "wrong signature"
    assert document["TLS.ver"] == "2.0"
    assert document["TLS.identifier"] == userid
    assert document["TLS.sdkappid"] == 1400000000
    assert document["TLS.time"] <= time.time() < document["TLS.time"] + document["TLS.expire"]
    return document


manage("makemigrations", "people")
manage("check", "--fail-level", "WARNING")
manage("migrate", "--verbosity", "0")
manage("makemigrations", "--check", "--dry-run")
manage("check_usersig")
claims(manage("gen_usersig", "alice").strip(), "alice")

request = """
import json
from django.contrib.auth import get_user_model
from django.test import Client
from rest_framework.authtoken.models import Token

mei = get_user_model().objects.create_user("mei")
token = Token.objects.create(user=mei).key
client = Client(SERVER_NAME="localhost", headers={"authorization": f"Token {token}"})
answer = client.post("/api/usersig/")
stranger = Client(SERVER_NAME="localhost").post("/api/usersig/")
print(json.dumps([str(mei.pk), answer.status_code, answer.json(), answer.headers["Cache-Control"]]))
print(stranger.status_code)
"""
*_, told, stranger = manage("shell", "--no-imports", "-c", request).splitlines()
pk, status, answer, cache_control = json.loads(told)
assert (status, stranger) == (200, "401"), (status, stranger)
assert "no-store" in cache_control
assert answer["userid"] == uuid.UUID(pk).hex
claims(answer["usersig"], answer["userid"])
sys.stdout.write(f"a foreign project got a UserSig for {answer['userid']}\n")
