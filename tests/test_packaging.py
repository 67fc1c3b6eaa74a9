"""What the wheel and the sdist hold: what an installed app needs, and nothing else."""

import fnmatch
import subprocess
import sys
import tarfile
import zipfile
from email import message_from_bytes
from pathlib import Path

import pytest

import usersig_django

ROOT = Path(__file__).parent.parent
PACKAGE = ROOT / "usersig_django"
VERSION = usersig_django.__version__
# Everything in the package's folder is shipped but for these.
NOT_SHIPPED = {".pyc", ".po", ".pot"}


@pytest.fixture(scope="module")
def dist(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("dist")
    done = subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "-d", str(folder)],
        cwd=ROOT,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    return folder


@pytest.fixture(scope="module")
def wheel(dist: Path) -> zipfile.ZipFile:
    return zipfile.ZipFile(dist / f"usersig_django-{VERSION}-py3-none-any.whl")


@pytest.fixture(scope="module")
def sdist(dist: Path) -> set[str]:
    top = f"usersig_django-{VERSION}"
    with tarfile.open(dist / f"{top}.tar.gz") as archive:
        return {name.removeprefix(f"{top}/") for name in archive.getnames()}


def shipped() -> set[str]:
    return {
        path.relative_to(ROOT).as_posix()
        for path in PACKAGE.rglob("*")
        if path.is_file() and path.suffix not in NOT_SHIPPED
    }


def test_wheel__holds_the_package_and_its_metadata_and_nothing_else(wheel: zipfile.ZipFile) -> None:
    metadata = f"usersig_django-{VERSION}.dist-info"
    assert set(wheel.namelist()) == shipped() | {
        f"{metadata}/{name}" for name in ("METADATA", "WHEEL", "RECORD", "licenses/LICENSE")
    }


def test_wheel__holds_types_templates_and_static_files(wheel: zipfile.ZipFile) -> None:
    for pattern in (
        "usersig_django/py.typed",
        "usersig_django/templates/*.html",
        "usersig_django/static/*.js",
        "usersig_django/migrations/0001_*.py",
    ):
        assert fnmatch.filter(wheel.namelist(), pattern), pattern


def test_wheel__holds_each_catalogue_compiled(wheel: zipfile.ZipFile) -> None:
    compiled = {path.with_suffix(".mo").relative_to(ROOT).as_posix() for path in PACKAGE.rglob("*.po")}
    assert compiled <= set(wheel.namelist())


def test_wheel__asks_for_three_packages_and_offers_the_extras(wheel: zipfile.ZipFile) -> None:
    metadata = message_from_bytes(wheel.read(f"usersig_django-{VERSION}.dist-info/METADATA"))
    required = {line for line in metadata.get_all("Requires-Dist", []) if "extra ==" not in line}
    assert required == {"django>=5.2", "djangorestframework>=3.18", "cryptography>=44"}
    assert metadata.get_all("Provides-Extra") == ["example", "openapi", "progress", "revocation", "test"]
    assert (metadata["Requires-Python"], metadata["License-Expression"]) == (">=3.11", "MIT")


def test_sdist__builds_and_tests_itself(sdist: set[str]) -> None:
    assert shipped() <= sdist
    assert {
        "pyproject.toml",
        "README.md",
        "CHANGELOG.md",
        "LICENSE",
        "SECURITY.md",
        "manage.py",
        "example_project/settings.py",
        "tests/settings.py",
        "docs/conf.py",
    } <= sdist


def test_sdist__holds_no_leftovers(sdist: set[str]) -> None:
    leftovers = {"__pycache__", "node_modules", ".env", "db.sqlite3", "_build", "staticfiles"}
    assert not [name for name in sdist if leftovers & set(Path(name).parts) or name.endswith(".pyc")]
