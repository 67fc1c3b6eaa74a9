import pytest

from usersig_django.exceptions import InvalidInput
from usersig_django.signing.userid import check_rule, check_userid, is_printable_userid


class _Text(str):
    __slots__ = ()


NEVER = [
    None, True, 1, 1.0, b"alice", ["alice"], _Text("alice"), "", " ", "a" * 33, "alice\n", "\nalice", "al\nice",
    "alice ",
    " alice", "al\tice", "alice\0", "alice\x7f", "\u00e9lice", "\u0430lice", "\uff41lice", "\U0001f600", "\ud800",
    "alice\r", "\u2028", "a\u0301",
]  # fmt: skip
PRINTABLE_ONLY = ["al ice", 'al"ice', "al\\ice", "al.ice", "alice@example.com", "!", "~", "/", "a" + " " * 30 + "b"]
STRICT = ["a", "0", "-", "_", "alice", "A-Z_09", "a" * 32, "550e8400e29b41d4a716446655440000"]


@pytest.mark.parametrize("userid", STRICT)
@pytest.mark.parametrize("rule", ["strict", "printable"])
def test_check_userid__fits_both_rules(userid, rule):
    assert check_userid(userid, rule) is None


@pytest.mark.parametrize("userid", PRINTABLE_ONLY)
def test_check_userid__fits_printable_only(userid):
    assert check_userid(userid, "printable") is None
    with pytest.raises(InvalidInput):
        check_userid(userid)


@pytest.mark.parametrize("userid", NEVER, ids=repr)
@pytest.mark.parametrize("rule", ["strict", "printable"])
def test_check_userid__fits_no_rule(userid, rule):
    with pytest.raises(InvalidInput):
        check_userid(userid, rule)


def test_check_userid__says_the_rule_and_not_the_value():
    with pytest.raises(InvalidInput, match="1 to 32 characters of A-Z") as caught:
        check_userid("no such thing!")
    assert "no such" not in str(caught.value)


@pytest.mark.parametrize("rule", [None, "", "Strict", "loose", b"strict", 1, ["strict"], _Text("strict")], ids=repr)
def test_check_rule__unknown(rule):
    with pytest.raises(InvalidInput):
        check_rule(rule)


def test_is_printable_userid__is_the_printable_rule():
    assert is_printable_userid("al ice")
    assert not is_printable_userid("alice\n")
