"""The example project as a deployment and as its users meet it."""

import os
import re
import secrets
import subprocess
import sys
from pathlib import Path

import pytest
from cryptography.fernet import Fernet
from django.contrib.auth.models import User
from django.test import Client
from rest_framework.authtoken.models import Token

from example_project.models import Room
from usersig_django.exceptions import RoomForbidden
from usersig_django.issuing import issue_private_map_key
from usersig_django.signing import Privilege
from usersig_django.verifying import verify_usersig

ROOT = Path(__file__).parent.parent
SETTINGS = ROOT / "example_project/settings.py"
DEPLOYED = {
    "DEBUG": "False",
    "SECRET_KEY": secrets.token_urlsafe(50),
    "ALLOWED_HOSTS": "chat.example.com",
    "CSRF_TRUSTED_ORIGINS": "https://chat.example.com",
    "HSTS_SECONDS": "31536000",
    "BEHIND_TLS_PROXY": "True",
    "DATABASE_URL": "sqlite:///:memory:",
    "CACHE_URL": "redis://127.0.0.1:6379/0",
    "USERSIG_ENVIRONMENT": "production",
    "USERSIG_SDKAPPID": "1400000000",
    "USERSIG_SECRET_KEY": secrets.token_hex(),
    "USERSIG_ENCRYPTION_KEYS": Fernet.generate_key().decode(),
}


@pytest.fixture
def mei(db: None) -> User:
    return User.objects.create_user("mei", password="mei")


def manage(*arguments: str, environment: dict[str, str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "manage.py", *arguments],
        cwd=ROOT,
        env={"PATH": os.environ["PATH"], **environment},
        capture_output=True,
        text=True,
    )


def test_deployment_check__is_silent_with_real_values() -> None:
    done = manage("check", "--deploy", "--fail-level", "WARNING", environment=DEPLOYED)
    assert (done.returncode, done.stderr) == (0, "")


def test_deployment_check__with_applications_in_the_admin_is_silent_too() -> None:
    records = {name: value for name, value in DEPLOYED.items() if "SDKAPPID" not in name and "SECRET_KEY" not in name}
    done = manage(
        "check",
        "--deploy",
        "--fail-level",
        "WARNING",
        environment={**records, "SECRET_KEY": DEPLOYED["SECRET_KEY"]},
    )
    assert (done.returncode, done.stderr) == (0, "")


def test_check__names_the_demo_application() -> None:
    done = manage("check", environment={})
    assert done.returncode == 0
    assert "usersig.W002" in done.stderr


def test_secrets__may_come_from_files(tmp_path: Path) -> None:
    file = tmp_path / "key"
    file.write_text(DEPLOYED["USERSIG_SECRET_KEY"] + "\n")
    environment = {name: value for name, value in DEPLOYED.items() if name != "USERSIG_SECRET_KEY"}
    environment["USERSIG_SECRET_KEY_FILE"] = str(file)
    done = manage("gen_usersig", "alice", environment=environment)
    assert re.fullmatch(r"eJ[\w*-]+\n", done.stdout)


def test_env_example__has_every_name_that_the_settings_read() -> None:
    read = set(re.findall(r'env\.\w+\("([A-Z_]+)"', SETTINGS.read_text(encoding="utf-8")))
    named = set(re.findall(r"^#?([A-Z_]+)=", (ROOT / ".env.example").read_text(encoding="utf-8"), re.MULTILINE))
    assert named == read == set(DEPLOYED)


def test_session__gets_a_usersig_with_the_csrf_token_alone(mei: User) -> None:
    client = Client(enforce_csrf_checks=True)
    client.get("/login/")
    csrf = {"X-CSRFToken": client.cookies["csrftoken"].value}
    signed_in = client.post("/login/", {"username": "mei", "password": "mei"}, headers=csrf)
    assert signed_in.headers["Location"] == "/"
    assert client.get("/").status_code == 200
    assert client.post("/api/usersig/", content_type="application/json").json()["code"] == "permission_denied"
    csrf = {"X-CSRFToken": client.cookies["csrftoken"].value}
    answer = client.post("/api/usersig/", content_type="application/json", headers=csrf).json()
    assert verify_usersig(answer["usersig"], userid=str(mei.pk)).userid == answer["userid"]
    # A form without fields, which is what a test client and `FormData()` send.
    assert client.post("/api/usersig/").json()["code"] == "permission_denied"
    assert client.post("/api/usersig/", headers=csrf).status_code == 200


def test_token__gets_a_usersig(mei: User, client: Client) -> None:
    token = client.post("/api/token/", {"username": "mei", "password": "mei"}).json()["token"]
    assert token == Token.objects.get(user=mei).key
    answer = client.post("/api/usersig/", headers={"Authorization": f"Token {token}"})
    assert answer.json()["userid"] == str(mei.pk)


def test_home__sends_strangers_to_sign_in(client: Client) -> None:
    assert client.get("/").headers["Location"] == "/login/?next=/"


def test_room_policy__owner_all_member_audience_stranger_nothing(mei: User) -> None:
    owner, stranger = User.objects.create_user("owner"), User.objects.create_user("stranger")
    Room.objects.create(name="lobby", owner=owner).members.add(mei)
    assert issue_private_map_key(owner, "lobby").privileges == Privilege.ALL
    assert issue_private_map_key(mei, "lobby").privileges == Privilege.AUDIENCE
    for user, room in ((stranger, "lobby"), (mei, "Lobby"), (mei, 10000), (mei, "elsewhere")):
        with pytest.raises(RoomForbidden):
            issue_private_map_key(user, room)
