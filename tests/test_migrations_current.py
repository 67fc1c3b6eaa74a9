"""The models and their migrations agree, on whatever Django runs the suite."""

import pytest
from django.core.management import call_command


@pytest.mark.django_db
def test_makemigrations__finds_nothing_to_do() -> None:
    call_command("makemigrations", "--check", "--dry-run")
