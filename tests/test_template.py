import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from usersig_django.signing import codec, template

CONSTANTS = ('{"TLS.one":"', '","TLS.two":"', '","TLS.three":"')
texts = st.text(st.characters(min_codepoint=0x20, max_codepoint=0x7E), max_size=61)


def filled(values):
    return "".join(constant + value for constant, value in zip(CONSTANTS, values, strict=True))


@given(st.tuples(texts, texts, texts), st.integers(0, 9))
def test_pack__reads_as_the_document(values, level):
    assert codec.unpack(template.pack(CONSTANTS, values, level)) == filled(values)


def test_pack__values_at_the_limits():
    for values in (("", "", ""), ("a" * 123, "", "b" * 5000), ("", "~" * 123, " ")):
        assert codec.unpack(template.pack(CONSTANTS, values, 6)) == filled(values)
    for length in range(124):
        values = ("a" * length, "b" * (123 - length), "c")
        assert codec.unpack(template.pack(CONSTANTS, values, 6)) == filled(values)


@pytest.mark.parametrize("level", [1, 6, 9])
def test_pack__constants_are_deflated(level):
    """Only the values take eight bits a character."""
    alone = len(zlib.compress(filled(("", "", "")).encode(), level))
    token = template.pack(CONSTANTS, ("a1", "b2", "c3"), level)
    assert len(token) <= 4 * -(-(alone + 6 + 4) // 3)


def test_filler__leaves_nothing_to_match():
    filler = template._FILLER
    assert len(filler) == 123
    threes = [filler[place : place + 3] for place in range(len(filler) - 2)]
    assert len(set(threes)) == len(threes)
    assert not set(filler) & {*range(0x20, 0x7F), *template._EDGES, *template._LAST}
