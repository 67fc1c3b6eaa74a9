"""UserID rules (PROTOCOL 4). The signed text is line based and unescaped, so a UserID with a line break could be
repackaged into a token for somebody else: exact `str`, the whole text, never stripped or folded."""

import re

from usersig_django.exceptions import InvalidInput, gettext_noop

_RULES = {
    "strict": (
        re.compile(r"[A-Za-z0-9_-]{1,32}"),
        gettext_noop("userid must be 1 to 32 characters of A-Z, a-z, 0-9, _ and -."),
    ),
    "printable": (
        re.compile(r"[!-~](?:[ -~]{0,30}[!-~])?"),
        gettext_noop("userid must be 1 to 32 printable ASCII characters without a space at either end."),
    ),
}
RULE_NAMES = tuple(_RULES)
is_printable_userid = _RULES["printable"][0].fullmatch


def check_rule(rule: object) -> None:
    """Raise `InvalidInput` unless `rule` names a UserID rule: `"strict"` or `"printable"`."""
    if type(rule) is not str or rule not in _RULES:
        raise InvalidInput(gettext_noop("userid_rule must be 'strict' or 'printable'."))


def check_userid(userid: object, rule: str = "strict") -> None:
    """Raise `InvalidInput` unless `userid` is an exact str that satisfies the rule as a whole (PROTOCOL 4)."""
    pattern, fault = _RULES[rule]
    if type(userid) is not str or not pattern.fullmatch(userid):
        raise InvalidInput(fault)
