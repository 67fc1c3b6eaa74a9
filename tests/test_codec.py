import zlib

import pytest

from tests.tokens import unwrap, wrap
from usersig_django.exceptions import InvalidInput, MalformedUserSig
from usersig_django.signing import codec, document, integers

# Every base64 digit, Tencent's three included, comes of these bytes.
ALPHABET = bytes(range(256))


@pytest.mark.parametrize("level", range(10))
def test_pack__every_reader_of_zlib_reads_it(level):
    for text in ("{}", '{"TLS.ver":"2.0"}' * 300, "\x7f" * 5000, "abc" * 7):
        token = codec.pack(text, level)
        assert unwrap(token).decode() == text
        assert codec.unpack(token) == text


@pytest.mark.parametrize(("level", "start"), [(0, "eA"), (1, "eJ"), (6, "eJ"), (9, "eJ")])
def test_pack__announces_a_window_of_32_kib(level, start):
    token = codec.pack("{}", level)
    assert token[:2] == start
    header = codec.decode_base64(token[:4].translate(str.maketrans("*-", "+/")))
    assert header[0] == 0x78  # deflate, 32 KiB


def test_unpack__tencents_alphabet():
    token = next(
        token for token in (wrap(ALPHABET[number:] * 9) for number in range(99)) if {"*", "-", "_"} <= set(token)
    )
    with pytest.raises(MalformedUserSig, match="UTF-8"):
        codec.unpack(token)


def test_unpack__exactly_full():
    assert codec.unpack(wrap("x" * 8192)) == "x" * 8192
    with pytest.raises(MalformedUserSig, match="8192 bytes"):
        codec.unpack(wrap("x" * 8193))


def test_unpack__any_level_and_window_of_zlib():
    for level in range(10):
        for window in range(9, 16):
            deflate = zlib.compressobj(level, zlib.DEFLATED, window)
            stream = deflate.compress(b"text" * 50) + deflate.flush()
            assert codec.unpack(wrap(b"", compressed=stream)) == "text" * 50


@pytest.mark.parametrize("level", [-1, 10, True, None, 6.0, "6"], ids=repr)
def test_check_compression_level__not_0_to_9(level):
    with pytest.raises(InvalidInput):
        codec.check_compression_level(level)


@pytest.mark.parametrize("text", ["YWJj", "YWI=", "YQ==", "", "+/+/"])
def test_decode_base64__canonical(text):
    assert codec.encode_base64(codec.decode_base64(text)) == text


@pytest.mark.parametrize(
    "text", ["YWJ", "YWJ=", "YQ", "YR==", "Y", "Y===", "YW Jj", "YWJj\n", "-_-_", "\u00e9", "YQ==YQ=="]
)
def test_decode_base64__another_spelling(text):
    with pytest.raises(MalformedUserSig):
        codec.decode_base64(text)


@pytest.mark.parametrize(
    ("text", "members"),
    [
        ('{"a":"b"}', {"a": "b"}),
        (' {\n"a" :\t1 ,\r\n"b": "" } ', {"a": 1, "b": ""}),
        ('{"":0}', {"": 0}),
        ('{"a":9999999999999999}', {"a": 9999999999999999}),
        (r'{"\u0061":"\"\\\/\b\f\n\r\t\u00e9\ud83d\ude00"}', {"a": '"\\/\b\f\n\r\t\u00e9\U0001f600'}),
        ('{"a":"{[}]:,"}', {"a": "{[}]:,"}),
        ('{"a":"\u00e9"}', {"a": "\u00e9"}),
    ],
)  # fmt: skip
def test_parse__flat(text, members):
    assert document.parse(text) == members


@pytest.mark.parametrize(
    "text",
    [
        "", "{}", "[]", "1", '"a"', "{", '{"a"}', '{"a":}', '{"a":1,}', '{,"a":1}', '{"a":1 "b":2}', '{"a":"b"}x',
        '{"a":00}',
        '{"a":-1}', '{"a":-0}', '{"a":1.0}', '{"a":1e1}', '{"a":10000000000000000}', '{"a":true}', '{"a":null}',
        '{"a":NaN}', '{"a":[]}', '{"a":{}}', '{"a":"\t"}', '{"a":"\\x"}', '{"a":"\\u00e"}', '{a:1}', "{'a':1}",
        "\ufeff{}",
        '{"a":1,"a":1}', '{"a":1,"\\u0061":2}', '{"a":\u0661}', '{"a":"b}', '{"a":"b\\"}', '{"a":1}\0', '{"a":1 2}',
    ],
)  # fmt: skip
def test_parse__anything_else(text):
    with pytest.raises(MalformedUserSig):
        document.parse(text)


def test_parse__a_long_text_takes_no_time():
    for text in ('{"a":"' + "\\" * 8000, '{"a":' + " " * 8000, '{"' + '\\"' * 4000, '{"a":1' + ',"a":1' * 1300):
        with pytest.raises(MalformedUserSig):
            document.parse(text)


def test_escape__as_json_reads_it():
    printable = "".join(map(chr, range(0x20, 0x7F)))
    assert document.parse(f'{{"a":"{document.escape(printable)}"}}') == {"a": printable}


class _Integer(int):
    pass


@pytest.mark.parametrize("value", [0, 4294967296, -1, True, 1.0, "1", None, _Integer(1)], ids=repr)
def test_check_sdkappid__out_of_range_or_type(value):
    with pytest.raises(InvalidInput, match="sdkappid must be an integer from 1 to 4294967295"):
        integers.check_sdkappid(value)


@pytest.mark.parametrize("value", [0, 315360001, -1, True, 60.0, "60", None, _Integer(60)], ids=repr)
def test_check_expire__out_of_range_or_type(value):
    with pytest.raises(InvalidInput, match="expire"):
        integers.check_expire(value)


def test_check_expire__bounds():
    assert integers.check_expire(1) is None
    assert integers.check_expire(315360000) is None
    assert integers.check_expire(60, minimum=60, maximum=60) is None
    with pytest.raises(InvalidInput, match="from 60 to 86400"):
        integers.check_expire(59, minimum=60, maximum=86400)


@pytest.mark.parametrize("value", [0, 4294967296, -1, True, 60.0, "60", _Integer(60)], ids=repr)
def test_issue_time__out_of_range_or_type(value):
    with pytest.raises(InvalidInput, match="now"):
        integers.issue_time(value)


def test_issue_time__one_reading_of_the_clock(monkeypatch):
    readings = iter([1_800_000_000.9])
    monkeypatch.setattr(integers.time, "time", lambda: next(readings))
    assert integers.issue_time(None) == 1_800_000_000
    assert integers.issue_time(7) == 7
