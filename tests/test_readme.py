"""The README and its translation say what the code does: tables held equal, shell lines parsed, output compared."""

import ast
import json
import re
import shlex
import textwrap
from argparse import ArgumentParser, _SubParsersAction
from collections.abc import Iterator
from pathlib import Path

import pytest
from django.core.management import load_command_class
from django.core.management.base import BaseCommand
from django.urls import reverse

from usersig_django import checks
from usersig_django.answers import ERRORS
from usersig_django.checks import DEMO_SECRET_KEY
from usersig_django.conf import APPLICATION_SETTINGS, DEFAULTS
from usersig_django.resolvers import attribute
from usersig_django.signing import HmacSha256Signer, decode

ROOT = Path(__file__).parent.parent
README = ROOT / "README.md"
READMES = [README, ROOT / "docs/README.zh-Hans.md"]
PAGES = [README, *sorted((ROOT / "docs").rglob("*.md"))]
COMMANDS = sorted(
    path.stem for path in (ROOT / "usersig_django/management/commands").glob("*.py") if not path.stem.startswith("_")
)


@pytest.fixture(params=READMES, ids=lambda path: path.name)
def readme(request: pytest.FixtureRequest) -> str:
    return request.param.read_text(encoding="utf-8")


def rows_of(readme: str, name: str) -> list[list[str]]:
    """The cells of a table between `<!-- name -->` and `<!-- /name -->`, without its head."""
    [section] = re.findall(rf"<!-- {name} -->\n(.*?)<!-- /{name} -->", readme, re.DOTALL)
    lines = [line for line in section.splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]] for line in lines[2:]]


def code_in(cell: str) -> list[str]:
    return re.findall(r"`([^`]+)`", cell)


def blocks_of(text: str, language: str) -> list[str]:
    blocks = re.findall(rf"^( *)```{language}\n(.*?)^\1```$", text, re.DOTALL | re.MULTILINE)
    return [textwrap.dedent(block) for _, block in blocks]


def parser_of(command: str) -> ArgumentParser:
    return load_command_class("usersig_django", command).create_parser("manage.py", command)


def options_of(parser: ArgumentParser) -> Iterator[str]:
    """Every option, and in place of subcommands their names and options; arguments by the name they are shown with."""
    for action in parser._actions:
        if isinstance(action, _SubParsersAction):
            for name, subparser in action.choices.items():
                yield name
                yield from options_of(subparser)
        else:
            yield from action.option_strings or [str(action.metavar or action.dest)]


# What every command of Django's has.
COMMON = set(options_of(BaseCommand().create_parser("manage.py", "any")))


def test_first_screen__is_short_and_first() -> None:
    first_screen = README.read_text(encoding="utf-8").partition("\n## ")[0]
    assert len(first_screen.splitlines()) <= 45


def test_first_two_blocks__are_one_command_line_each() -> None:
    first, second = blocks_of(README.read_text(encoding="utf-8"), "sh")[:2]
    assert first.count("\n") == second.count("\n") == 1
    assert first.strip().endswith("manage.py gen_usersig alice")
    assert second.strip().endswith("-m pytest")


def test_usersig__is_what_the_demo_application_signs(readme: str) -> None:
    usersig = blocks_of(readme, "text")[0].strip()
    signer = HmacSha256Signer(sdkappid=1400000000, secret_key=DEMO_SECRET_KEY)
    claims = signer.verify(usersig, userid="alice", now=decode(usersig).issued_at)
    assert claims.expire == DEFAULTS["EXPIRE"]


@pytest.mark.django_db
def test_answer__has_the_members_of_the_endpoint(readme: str, client, django_user_model) -> None:
    client.force_login(django_user_model.objects.create_user("mei"))
    shown = json.loads(blocks_of(readme, "json")[0])
    answer = client.post(reverse("usersig_django:usersig")).json()
    assert list(shown) == list(answer)
    assert [type(value) for value in shown.values()] == [type(value) for value in answer.values()]


def test_settings__are_the_defaults_of_conf(readme: str) -> None:
    shown = {
        code_in(name)[0]: ast.literal_eval(code_in(default)[0]) for name, default, _ in rows_of(readme, "settings")
    }
    assert shown == DEFAULTS


def test_application_settings__are_those_of_conf(readme: str) -> None:
    assert [code_in(row[0])[0] for row in rows_of(readme, "application settings")] == list(APPLICATION_SETTINGS)


def test_checks__are_the_ids_that_exist(readme: str) -> None:
    ids = {value for value in vars(checks).values() if re.fullmatch(r"usersig\.[EW]\d{3}", str(value))}
    shown = [code_in(row[0])[0] for row in rows_of(readme, "checks")]
    assert shown == sorted(ids)


def test_api__has_every_code_and_status(readme: str) -> None:
    shown = {code_in(code)[0]: int(status[:3]) for code, status, _ in rows_of(readme, "api")}
    assert shown == {code: status for code, (status, _) in ERRORS.items()}


def test_commands__are_those_that_exist(readme: str) -> None:
    assert sorted({code_in(row[0])[0].split()[0] for row in rows_of(readme, "commands")}) == COMMANDS


@pytest.mark.parametrize("command", COMMANDS)
def test_command__has_the_arguments_and_options_of_its_parser(readme: str, command: str) -> None:
    rows = [row for row in rows_of(readme, "commands") if code_in(row[0])[0].split()[0] == command]
    shown = [word for name, options, _ in rows for cell in (name, options) for word in " ".join(code_in(cell)).split()]
    assert {word for word in shown if word != command} == set(options_of(parser_of(command))) - COMMON


@pytest.mark.parametrize("page", PAGES, ids=lambda path: str(path.relative_to(ROOT)))
def test_shell_lines__parse(page: Path) -> None:
    """Every `manage.py` line of ours on every page has arguments that the command takes."""
    for block in blocks_of(page.read_text(encoding="utf-8"), "console"):
        joined = block.replace("\\\n", "")
        for command, arguments in re.findall(r"manage\.py (\w+)([^|<>\n)]*)", joined):
            if command in COMMANDS:
                parser_of(command).parse_args(shlex.split(arguments.rstrip('"')))


@pytest.mark.parametrize("page", PAGES, ids=lambda path: str(path.relative_to(ROOT)))
def test_python_blocks__are_python(page: Path) -> None:
    for block in blocks_of(page.read_text(encoding="utf-8"), "python"):
        compile(block, str(page), "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)


@pytest.mark.parametrize("page", PAGES, ids=lambda path: str(path.relative_to(ROOT)))
def test_links__lead_to_files(page: Path) -> None:
    for target in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", page.read_text(encoding="utf-8")):
        assert (page.parent / target).exists(), target


def test_resolvers__are_there(readme: str) -> None:
    for path in set(re.findall(r"`\"(usersig_django\.resolvers\.\w+)\"`", readme)):
        module, _, name = path.rpartition(".")
        assert callable(getattr(__import__(module, fromlist=[name]), name))
    assert attribute("username")
