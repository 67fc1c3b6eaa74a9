import dataclasses
import subprocess
import sys

import pytest

from usersig_django import exceptions
from usersig_django.diagnosis import DIAGNOSES, Diagnosis, diagnose

CODES = [
    70001, 70002, 70003, 70009, 70013, 70014, 70016, 70020, 70050, 70052, 6206, -3320, -100018, -100006, -102010,
]  # fmt: skip


@pytest.mark.parametrize("code", CODES)
def test_diagnose__every_code_of_the_protocol(code):
    diagnosis = diagnose(code)
    assert diagnosis.code == code
    assert diagnosis.cause.endswith(".")
    assert diagnosis.look_at.endswith(".")


def test_diagnose__unknown_code():
    assert diagnose(0) is None


def test_diagnoses__each_code_once():
    codes = [diagnosis.code for diagnosis in DIAGNOSES]
    assert len(set(codes)) == len(codes)


def test_diagnosis__frozen():
    with pytest.raises(dataclasses.FrozenInstanceError):
        diagnose(70001).cause = ""
    assert isinstance(diagnose(70001), Diagnosis)


def test_exceptions__every_code_has_a_diagnosis():
    """Each refusal of a verify call that Tencent has a code for is explained."""
    kinds = [kind for kind in vars(exceptions).values() if isinstance(kind, type)]
    codes = {getattr(kind, "tencent_code", None) for kind in kinds} - {None}
    assert codes == {70001, 70003, 70009, 70013, 70014, 70052}
    assert all(diagnose(code) for code in codes)


def test_core__needs_no_django():
    """What stands below the line imports nothing from above it (DESIGN 1)."""
    script = (
        "import sys; import usersig_django.signing, usersig_django.compat, usersig_django.diagnosis; "
        "sys.exit(bool({'django', 'rest_framework'} & set(sys.modules)))"
    )
    subprocess.run([sys.executable, "-c", script], check=True)
