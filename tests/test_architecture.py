"""The layers of the package, read from its own imports: a module imports from its own line or lower lines."""

import ast
import subprocess
import sys
from collections.abc import Iterator
from fnmatch import fnmatchcase
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PACKAGE = "usersig_django"

HTTP_EDGE = ["views", "answers", "parsers", "serializers", "throttling", "permissions", "urls", "schema"]
LINES = [
    # the edges: parse, call, format
    [*HTTP_EDGE, "admin*", "management*", "checks", "apps"],
    # who, what, how long; token -> claims; one audit line
    ["batch", "inspection", "deactivation"],
    ["issuing", "verifying", "audit", "revocation"],
    ["eligibility"],
    # which SDKAppID and signer serve an environment
    ["applications"],
    ["models", "keys", "records", "rows", "migrations*"],
    ["sealed"],
    # pure plug points
    ["resolvers", "rooms", "signals"],
    ["conf"],
    ["rules"],
    ["faults"],
    # ---------------------------------------- Django ends here
    ["compat"],
    ["signing", "signing.*", "diagnosis"],
    ["exceptions", "secret", ""],
]
WITHOUT_DJANGO = LINES.index(["compat"])
OUTSIDERS = {
    "django": [pattern for line in LINES[:WITHOUT_DJANGO] for pattern in line],
    "asgiref": ["issuing", "verifying", "revocation"],
    "rest_framework": HTTP_EDGE,
    "drf_spectacular": ["schema"],
    "cryptography": ["signing.*", "sealed"],
    "tqdm": ["management*"],
    "httpx": ["revocation"],
}
# What holds one thing fits; blank lines are free.
LONGEST = 250


def name_of(path: Path) -> str:
    """Dotted, below the package; empty for the package itself."""
    parts = path.relative_to(ROOT / PACKAGE).with_suffix("").parts
    return ".".join(parts).removesuffix("__init__").removesuffix(".")


MODULES = {name_of(path): path for path in sorted((ROOT / PACKAGE).rglob("*.py"))}


def matches(module: str, patterns: list[str]) -> bool:
    return any(fnmatchcase(module, pattern) for pattern in patterns)


def line_of(module: str) -> int:
    return next(number for number, line in enumerate(LINES) if matches(module, line))


def tree_of(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"))


def imports_of(path: Path) -> Iterator[str]:
    """Dotted names, also of imports inside functions; `from a import b` gives a.b, which may be no module."""
    for node in ast.walk(tree_of(path)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def own_module(imported: str) -> str:
    """The module of the package that an imported name stands in."""
    module = imported.removeprefix(PACKAGE).removeprefix(".")
    return module if module in MODULES else module.rpartition(".")[0]


@pytest.mark.parametrize("module", MODULES)
def test_module__has_exactly_one_line(module: str) -> None:
    assert sum(matches(module, line) for line in LINES) == 1, f"{module!r} belongs in LINES: which line is it on?"


@pytest.mark.parametrize("module", MODULES)
def test_module__imports_nothing_from_above(module: str) -> None:
    for imported in imports_of(MODULES[module]):
        if imported.split(".")[0] == PACKAGE:
            below = own_module(imported)
            assert line_of(below) >= line_of(module), f"{module} imports {below}, which stands above it"


@pytest.mark.parametrize("module", MODULES)
def test_module__imports_only_the_outsiders_that_its_line_may(module: str) -> None:
    for imported in imports_of(MODULES[module]):
        outsider = imported.split(".")[0]
        if outsider != PACKAGE and outsider not in sys.stdlib_module_names:
            assert matches(module, OUTSIDERS.get(outsider, [])), f"{module} imports {imported}"


@pytest.mark.parametrize("module", MODULES)
def test_module__reads_settings_only_in_conf(module: str) -> None:
    readers = {"django.conf.settings", "django.conf", "django.conf.LazySettings"}
    if module != "conf":
        assert not readers & set(imports_of(MODULES[module]))


@pytest.mark.parametrize("module", MODULES)
def test_module__is_short_and_prints_nothing(module: str) -> None:
    path = MODULES[module]
    written = [line for line in path.read_text(encoding="utf-8").splitlines() if line.strip()]
    assert len(written) <= LONGEST or path.parent.name == "migrations", f"{path.name} holds two things"
    calls = (node.func for node in ast.walk(tree_of(path)) if isinstance(node, ast.Call))
    assert not [call for call in calls if isinstance(call, ast.Name) and call.id == "print"]


@pytest.mark.parametrize("module", MODULES)
def test_module__has_a_noun_for_a_name(module: str) -> None:
    assert not {"utils", "util", "helpers", "helper", "common", "misc"} & set(module.split("."))


def test_exceptions_and_secret__import_nothing_of_ours() -> None:
    for module in ("exceptions", "secret", ""):
        assert not [name for name in imports_of(MODULES[module]) if name.startswith(PACKAGE)]


def test_example_project__reads_the_environment_only_in_its_settings() -> None:
    readers = [
        path.name
        for path in (ROOT / "example_project").rglob("*.py")
        if any(name.split(".")[0] == "environ" for name in imports_of(path))
    ]
    assert readers == ["settings.py"]


@pytest.mark.parametrize("module", ["signing", "compat", "diagnosis", "exceptions"])
def test_core__imports_without_django(module: str) -> None:
    program = f"import sys, {PACKAGE}.{module}; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True)
    loaded = {name.split(".")[0] for name in done.stdout.split()}
    assert (done.returncode, done.stderr) == (0, "")
    assert PACKAGE in loaded
    assert not {"django", "rest_framework", "environ"} & loaded
