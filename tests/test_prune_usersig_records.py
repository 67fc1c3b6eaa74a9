from datetime import timedelta

import pytest
from django.core.management import CommandError, call_command
from django.utils import timezone

from usersig_django.models import IssuedRecord

pytestmark = pytest.mark.django_db


def make_record(days_ago, **fields):
    return IssuedRecord.objects.create(
        **{
            "userid": "alice",
            "sdkappid": 1,
            "environment": "default",
            "kind": "usersig",
            "expire": 60,
            "channel": "api",
            "issued_at": timezone.now() - timedelta(days=days_ago, minutes=1),
            "key_fingerprint": "00000000",
            **fields,
        }
    )


def test_prune__deletes_what_is_older_in_batches(capsys, django_assert_max_num_queries):
    for days in range(10):
        make_record(days)
    with django_assert_max_num_queries(10):
        call_command("prune_usersig_records", "--older-than", "3", "--batch-size", "2")
    assert capsys.readouterr().out == "7 records deleted.\n"
    assert IssuedRecord.objects.count() == 3


def test_prune__dry_run_only_counts(capsys):
    make_record(5)
    call_command("prune_usersig_records", "--older-than", "3", "--dry-run")
    assert capsys.readouterr().out == "1 record is older.\n"
    assert IssuedRecord.objects.count() == 1


def test_prune__of_nothing_deletes_nothing(capsys):
    call_command("prune_usersig_records", older_than=90)
    assert capsys.readouterr().out == "0 records deleted.\n"


@pytest.mark.parametrize(
    "arguments",
    [
        (),
        ("--older-than", "x"),
        ("--older-than", "-1"),
        ("--older-than", "36501"),
        ("--older-than", "1", "--batch-size", "0"),
    ],
)
def test_prune__usage_is_2(arguments):
    with pytest.raises(CommandError) as caught:
        call_command("prune_usersig_records", *arguments)
    assert caught.value.returncode == 2
