import json
from io import StringIO

import pytest
from django.core.management import CommandError, call_command

from tests.settings import TEST_SDKAPPID, TEST_SECRET_KEY
from tests.tencent import RestHost, fail
from usersig_django import revocation
from usersig_django.conf import REGIONS
from usersig_django.signing import HmacSha256Signer

pytestmark = pytest.mark.django_db


@pytest.fixture
def tencent(tmp_path, monkeypatch):
    signer = HmacSha256Signer(sdkappid=TEST_SDKAPPID, secret_key=TEST_SECRET_KEY)
    with RestHost(signer, tmp_path) as host:
        monkeypatch.setenv("SSL_CERT_FILE", host.certificate)
        monkeypatch.setattr(revocation, "HOSTS", dict.fromkeys(REGIONS, host.address))
        monkeypatch.setattr(revocation, "FIRST_PAUSE_SECONDS", 0)
        yield host


def run(*args):
    stdout = StringIO()
    call_command("revoke_usersig", *args, stdout=stdout)
    return stdout.getvalue()


def test_revoke_usersig__userid(tencent):
    said = run("alice")
    assert said.startswith(f"UserSigs of alice (SDKAppID {TEST_SDKAPPID}) from before ")
    assert tencent.calls[0]["body"] == {"UserID": "alice"}
    assert tencent.calls[0]["query"]["usersig"] not in said


def test_revoke_usersig__inactive_user_as_json(tencent, django_user_model):
    user = django_user_model.objects.create_user("mei", is_active=False)
    answer = json.loads(run("--user", "mei", "--format", "json"))
    assert list(answer) == ["environment", "sdkappid", "userid", "revoked_at"]
    assert answer["userid"] == str(user.pk)


@pytest.mark.parametrize(
    ("args", "returncode"),
    [
        ((), 2),
        (("alice", "--user", "mei"), 2),
        (("alice", "--pending"), 2),
        (("--user", "nobody"), 2),
        (("a b\n",), 2),
        (("alice", "--environment", "absent"), 1),
    ],
    ids=repr,
)
def test_revoke_usersig__refused(tencent, args, returncode):
    with pytest.raises(CommandError) as refused:
        run(*args)
    assert refused.value.returncode == returncode
    assert tencent.calls == []


@pytest.mark.parametrize(("answer", "said"), [(fail(70403), "ADMIN_USERID"), (fail(1), "with 1."), (b"", "ErrorCode")])
def test_revoke_usersig__tencent_refuses(tencent, capsys, answer, said):
    tencent.script = [answer] * 3
    with pytest.raises(CommandError, match="revoke_usersig --pending") as refused:
        run("alice")
    assert refused.value.returncode == 1
    told = capsys.readouterr().err
    assert told.startswith("alice: ")
    assert said in told


def test_revoke_usersig__pending_until_tencent_is_told(tencent):
    tencent.script = [fail(70403), fail(70403), fail(70403)]
    for userid in ("alice", "bob"):
        with pytest.raises(CommandError):
            run(userid)
    del tencent.calls[:]
    with pytest.raises(CommandError, match="not told of 1"):
        run("--pending")
    assert "bob" in (said := run("--pending") + str(tencent.calls))
    assert said.count("{'UserID': 'alice'}") == 2
    assert run("--pending") == ""


def test_revoke_usersig__pending_of_one_environment(tencent):
    tencent.script = [fail(70403)]
    with pytest.raises(CommandError):
        run("alice")
    assert run("--pending", "--environment", "live") == ""
    assert run("--pending", "--environment", "default") != ""


def test_revoke_usersig__pending_of_an_application_that_went(tencent, settings, capsys):
    tencent.script = [fail(70403)]
    with pytest.raises(CommandError):
        run("alice")
    settings.USERSIG = {**settings.USERSIG, "APPLICATIONS": {"default": {"SDKAPPID": 7, "SECRET_KEY": "f" * 64}}}
    with pytest.raises(CommandError):
        run("--pending")
    settings.USERSIG = {**settings.USERSIG, "APPLICATIONS": {}}
    with pytest.raises(CommandError):
        run("--pending")
    told = capsys.readouterr().err
    assert "is not served by 'default' any more" in told
    assert "No application serves" in told
