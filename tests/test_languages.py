"""Every sentence that reaches people, in every language: the catalogues against the sources, and what is shown."""

import ast
import gettext
import logging
import pickle
import re
from functools import cache
from pathlib import Path

import pytest
from cryptography.fernet import Fernet
from django.core import checks
from django.core.management import CommandError, call_command, load_command_class
from django.urls import reverse
from django.utils.translation import override
from django.utils.translation.template import templatize

from tests.records import SDKAPPID, make_application, make_key
from tests.settings import USERSIG
from usersig_django import exceptions
from usersig_django.exceptions import InvalidInput, RevocationFailed, SigningUnavailable
from usersig_django.faults import Misconfigured, translated
from usersig_django.issuing import issue_usersig_for_userid
from usersig_django.models import SigningKey

PACKAGE = Path(exceptions.__file__).parent
LANGUAGES = ["zh_Hans", "zh_Hant", "ko", "ja"]
# Arguments that makemessages takes out of a call: the context, the sentence, its plural.
CALLS = {
    **dict.fromkeys(("_", "gettext", "gettext_lazy", "gettext_noop"), (None, 0, None)),
    "ngettext": (None, 0, 1),
    **dict.fromkeys(("pgettext", "pgettext_lazy"), (0, 1, None)),
}
SAID = {
    "zh_Hans": {
        "Sign in first.": "请先登录。",
        "The token is for another UserID.": "令牌属于另一个 UserID。",
        "malformed": "UserSig 格式错误或被截断。",
        "not an int": 'USERSIG["EXPIRE"] 必须是 int，而不是 str。',
        "unreadable": (
            "'production' 使用中的密钥（签名密钥第 {row} 行）无法使用：签名密钥第 {row} 行："
            'USERSIG["ENCRYPTION_KEYS"] 中没有一个能解密此密钥。'
        ),
    },
    "zh_Hant": {
        "Sign in first.": "請先登入。",
        "The token is for another UserID.": "權杖屬於另一個 UserID。",
        "malformed": "UserSig 格式錯誤或遭截斷。",
        "not an int": 'USERSIG["EXPIRE"] 必須是 int，而不是 str。',
        "unreadable": (
            "'production' 使用中的金鑰（簽署金鑰第 {row} 列）無法使用：簽署金鑰第 {row} 列："
            'USERSIG["ENCRYPTION_KEYS"] 中沒有任何一個能解密此金鑰。'
        ),
    },
    "ko": {
        "Sign in first.": "먼저 로그인하십시오.",
        "The token is for another UserID.": "다른 UserID의 토큰입니다.",
        "malformed": "UserSig의 형식이 잘못되었거나 일부가 잘렸습니다.",
        "not an int": 'USERSIG["EXPIRE"]의 값은 str이(가) 아니라 int여야 합니다.',
        "unreadable": (
            "'production'의 활성 키(서명 키 행 {row})를 사용할 수 없습니다: 서명 키 행 {row}: "
            'USERSIG["ENCRYPTION_KEYS"]의 어떤 키로도 비밀 키를 복호화할 수 없습니다.'
        ),
    },
    "ja": {
        "Sign in first.": "先にログインしてください。",
        "The token is for another UserID.": "このトークンは別の UserID のものです。",
        "malformed": "UserSig の形式が正しくないか、途中で切れています。",
        "not an int": 'USERSIG["EXPIRE"] は str ではなく int でなければなりません。',
        "unreadable": (
            "'production' の有効なキー (署名キーの行 {row}) を使用できません: 署名キーの行 {row}: "
            'シークレットを USERSIG["ENCRYPTION_KEYS"] のどのキーでも復号できません。'
        ),
    },
}
SOURCES = sorted(path for path in PACKAGE.rglob("*.py") if path.parent.name != "migrations")
TEMPLATES = sorted(PACKAGE.rglob("*.html"))

each_language = pytest.mark.parametrize("language", LANGUAGES)


@pytest.fixture(autouse=True)
def _in_english():
    """A request leaves its language behind."""
    with override("en"):
        yield


def tag(language):
    """As HTTP and Django's settings write it."""
    return language.lower().replace("_", "-")


@cache
def read_po(language):
    """{(context, sentence, plural): translations}, and the lines that mark an entry as unfinished. What gettext's
    tools write, no more: strings over several lines, one plural form."""
    entries, marks = {}, []
    text = (PACKAGE / f"locale/{language}/LC_MESSAGES/django.po").read_text(encoding="utf-8")
    for block in text.split("\n\n"):
        entry, name = {}, ""
        for line in block.splitlines():
            if line.startswith("#~") or (line.startswith("#,") and "fuzzy" in line):
                marks.append(line)
            elif not line.startswith("#"):
                keyword, literal = re.fullmatch(r'(?:(msg\S+) )?(".*")', line).groups()
                name = keyword or name
                entry[name] = entry.get(name, "") + ast.literal_eval(literal)
        key = (entry.get("msgctxt"), entry["msgid"], entry.get("msgid_plural"))
        assert key not in entries, key
        entries[key] = [text for name, text in entry.items() if name.startswith("msgstr")]
    del entries[None, "", None]
    return entries, marks


@cache
def read_sources():
    """What the sources mark, as the catalogues key it."""
    found = set()
    for path in SOURCES:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            name = getattr(node.func, "id", getattr(node.func, "attr", "")) if isinstance(node, ast.Call) else ""
            if name in CALLS and isinstance(node.args[CALLS[name][1]], ast.Constant):
                places = CALLS[name]
                found.add(tuple(None if place is None else node.args[place].value for place in places))
    literal = r"""u?('(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*")"""
    for path in TEMPLATES:
        marked = templatize(path.read_text(encoding="utf-8"))
        for call, first, second in re.findall(rf"\b(_|p?gettext)\({literal}(?:, {literal})?\)", marked):
            texts = [ast.literal_eval(text) for text in (first, second) if text]
            found.add((*texts, None) if call == "pgettext" else (None, texts[0], None))
    return found


@each_language
def test_catalogue__is_complete_and_finished(language):
    entries, marks = read_po(language)
    assert marks == []
    assert [key for key, texts in entries.items() if not texts or not all(texts)] == []


@each_language
def test_catalogue__holds_the_sources_sentences_and_no_others(language):
    entries, _marks = read_po(language)
    assert set(entries) == read_sources(), (
        "In usersig_django: makemessages -a --no-obsolete --add-location file; translate; compilemessages."
    )


@each_language
def test_catalogue__keeps_every_placeholder(language):
    entries, _marks = read_po(language)
    for (_context, sentence, plural), texts in entries.items():
        for text in texts:
            pattern = r"%\(\w+\)[a-z]"
            assert sorted(re.findall(pattern, text)) == sorted(re.findall(pattern, plural or sentence)), text


@each_language
def test_catalogue__is_compiled_as_it_stands(language):
    entries, _marks = read_po(language)
    with (PACKAGE / f"locale/{language}/LC_MESSAGES/django.mo").open("rb") as file:
        compiled = gettext.GNUTranslations(file)._catalog
    del compiled[""]
    expected = {}
    for (context, sentence, plural), [text] in entries.items():
        key = sentence if context is None else f"{context}\x04{sentence}"
        expected[key if plural is None else (key, 0)] = text
    assert compiled == expected


def test_languages__are_those_of_the_example():
    assert {path.name for path in (PACKAGE / "locale").iterdir()} == set(LANGUAGES)


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_faults__are_marked_where_they_are_raised(path):
    classes = {name for name, value in vars(exceptions).items() if isinstance(value, type)} | {"Misconfigured"}
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in classes and node.args:
            assert not isinstance(node.args[0], ast.Constant | ast.JoinedStr), f"{path}:{node.lineno}"


@each_language
def test_api__answers_in_the_clients_language(client, db, language):
    answer = client.post("/api/usersig/", headers={"accept-language": tag(language)})
    assert answer.json()["detail"] == SAID[language]["Sign in first."]


@each_language
def test_api__logs_in_english(client, admin_user, settings, caplog, language):
    client.force_login(admin_user)
    headers = {"accept-language": tag(language)}
    caplog.set_level(logging.ERROR, "usersig_django")
    settings.USERSIG = {"ENVIRONMENT": "nowhere"}
    assert client.post("/api/usersig/", headers=headers).status_code == 503
    settings.USERSIG = {**USERSIG, "EXPIRE": "x"}
    assert client.post("/api/usersig/", headers=headers).status_code == 503
    assert [
        text.removeprefix("Nothing can be issued: ")
        for name, _level, text in caplog.record_tuples
        if name == "usersig_django"
    ] == [
        "SigningUnavailable: No application serves the environment 'nowhere'.",
        'Misconfigured: USERSIG["EXPIRE"] must be an int, not str.',
    ]


@each_language
def test_admin__shows_faults_and_diagnoses_in_the_operators_language(admin_client, language):
    token = issue_usersig_for_userid("alice").usersig
    form = {"act": "verify", "verify-environment": "default", "verify-token": token, "verify-userid": "bob"}
    page = admin_client.post(
        reverse("admin:usersig_django_application_tool"), form, headers={"accept-language": tag(language)}
    ).content.decode()
    assert SAID[language]["The token is for another UserID."] in page
    page = admin_client.post(
        reverse("admin:usersig_django_application_tool"),
        {**form, "verify-token": "abc"},
        headers={"accept-language": tag(language)},
    ).content.decode()
    assert f"70003: {SAID[language]['malformed']}" in page


@each_language
def test_command__ends_in_the_operators_language(language):
    token = issue_usersig_for_userid("alice").usersig
    with override(tag(language)), pytest.raises(CommandError) as caught:
        call_command("verify_usersig", token, userid="bob", format="json")
    assert str(caught.value) == SAID[language]["The token is for another UserID."]


@each_language
def test_command__says_what_it_does_in_the_language_of_the_moment(language):
    command = load_command_class("usersig_django", "verify_usersig")
    english = command.create_parser("manage.py", "verify_usersig").format_help()
    with override(tag(language)):
        other = command.create_parser("manage.py", "verify_usersig").format_help()
    [text] = read_po(language)[0][None, str(command.help), None]
    # The lines are broken to fit.
    assert "".join(str(command.help).split()) in "".join(english.split())
    assert "".join(text.split()) in "".join(other.split())


@each_language
def test_check__speaks_the_language_of_the_moment(settings, language):
    settings.USERSIG = {**USERSIG, "EXPIRE": "x"}
    with override(tag(language)):
        messages = checks.run_checks(tags=["usersig"])
    assert [message.msg for message in messages] == [SAID[language]["not an int"]]


def test_fault__that_waits_in_the_cache_speaks_every_readers_language(db, settings):
    settings.USERSIG = {"ENVIRONMENT": "production", "ENCRYPTION_KEYS": USERSIG["ENCRYPTION_KEYS"]}
    key = make_key(make_application(), active=True)
    settings.USERSIG = {**settings.USERSIG, "ENCRYPTION_KEYS": [Fernet.generate_key().decode()]}
    for language in LANGUAGES:
        with override(tag(language)), pytest.raises(CommandError) as caught:
            call_command("gen_usersig", "alice")
        assert str(caught.value) == SAID[language]["unreadable"].format(row=key.pk)
        assert str(caught.value.__cause__) == (
            f"The active key of 'production' (signing key row {key.pk}) cannot be used: signing key row {key.pk}: "
            'the secret opens with none of USERSIG["ENCRYPTION_KEYS"].'
        )


@each_language
def test_state_of_a_key__is_not_the_label_of_a_date(language):
    entries, _marks = read_po(language)
    assert entries["key state", "retired", None] != entries["date", "retired", None]
    key = SigningKey(application_id=SDKAPPID)
    with override(tag(language)):
        assert str(key._meta.get_field("retired_at").verbose_name) == entries["date", "retired", None][0]


def test_translated__takes_any_error_and_leaves_what_nobody_translated():
    with override("ja"):
        assert translated(ValueError("100 %")) == "100 %"
        assert translated(InvalidInput("100 % of a project's own")) == "100 % of a project's own"
        assert translated(InvalidInput()) == ""


@pytest.mark.parametrize(
    "error",
    [
        Misconfigured("%(where)s must be True or False.", where="USERSIG"),
        SigningUnavailable("%(where)s: %(error)s", where="USERSIG", error=InvalidInput("A UserSig must be a str.")),
        RevocationFailed("Tencent refused with %(code)s.", code=70402, error_code=70402, hint="Look.", retryable=True),
    ],
    ids=lambda error: type(error).__name__,
)
def test_error__is_translated_after_it_was_pickled_too(error):
    copy = pickle.loads(pickle.dumps(error))
    assert (str(copy), type(copy)) == (str(error), type(error))
    with override("zh-hans"):
        assert translated(copy) == translated(error) != str(error)
