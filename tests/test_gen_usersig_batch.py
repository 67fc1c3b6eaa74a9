import csv
import io
import json
import logging
import os
import pty
import select
import stat
import subprocess
import sys
import termios
import tracemalloc
from contextlib import contextmanager
from pathlib import Path

import pytest
from django.core.management import CommandError, call_command

from tests.settings import TEST_SDKAPPID, TEST_SECRET_KEY
from tests.test_gen_usersig import ROOT, run
from usersig_django.issuing import issue_usersig_for_userid
from usersig_django.management.batch import COLUMNS, LONGEST_LINE
from usersig_django.models import IssuedRecord
from usersig_django.serializers import as_usersig_answer
from usersig_django.signing import HmacSha256Signer

ENV = {**os.environ, "DJANGO_SETTINGS_MODULE": "tests.settings"}
SIGNER = HmacSha256Signer(sdkappid=TEST_SDKAPPID, secret_key=TEST_SECRET_KEY)


@pytest.fixture
def batch(tmp_path: Path):
    """Runs a batch over these bytes: the UserIDs that got a UserSig, what stderr said, the exit code."""

    def run_batch(content, *args, format="csv", **options):
        file = tmp_path / "userids"
        file.write_bytes(content)
        stdout, stderr = io.StringIO(), io.StringIO()
        code = 0
        try:
            call_command("gen_usersig", *args, batch=str(file), format=format, stdout=stdout, stderr=stderr, **options)
        except CommandError as error:
            code = error.returncode
        return userids(stdout.getvalue(), format), stderr.getvalue().splitlines(), code

    return run_batch


def userids(text, format="csv"):
    """Of rows that are all genuine."""
    rows = (
        list(csv.DictReader(io.StringIO(text)))
        if format == "csv"
        else [json.loads(line) for line in text.splitlines()]
    )
    for row in rows:
        claims = SIGNER.verify(row["usersig"], userid=row["userid"])
        assert (int(row["sdkappid"]), int(row["expire"])) == (claims.sdkappid, claims.expire)
    return [row["userid"] for row in rows]


# What comes out.


@pytest.mark.parametrize("format", ["csv", "jsonl"])
def test_batch__a_row_for_each_line(batch, format: str) -> None:
    assert batch(b"alice\nbob\ncarol\n", format=format) == (["alice", "bob", "carol"], [], 0)


def test_batch__columns_are_the_members_of_the_http_answer() -> None:
    assert list(as_usersig_answer(issue_usersig_for_userid("alice"))) == list(COLUMNS)


def test_batch__csv_is_the_default_and_has_a_header(tmp_path: Path) -> None:
    (tmp_path / "f").write_text("alice\n")
    stdout = io.StringIO()
    call_command("gen_usersig", "--batch", str(tmp_path / "f"), "--expire", "600", stdout=stdout)
    header, row, rest = stdout.getvalue().split("\n")
    assert header == "sdkappid,userid,usersig,expire,issued_at,expires_at"
    assert row.startswith(f"{TEST_SDKAPPID},alice,eJ")
    assert row.split(",")[3] == "600"
    assert row.endswith("Z")
    assert rest == ""


@pytest.mark.parametrize("format", ["csv", "jsonl"])
def test_batch__userids_that_need_quoting(settings, batch, format: str) -> None:
    settings.USERSIG = {**settings.USERSIG, "USERID_RULE": "printable"}
    assert batch(b'a,b\n"q"\na\\b c\n', format=format) == (["a,b", '"q"', "a\\b c"], [], 0)


def test_batch__nothing_in_it(batch) -> None:
    assert batch(b"") == ([], [], 0)
    assert batch(b"\xef\xbb\xbf\n \n") == ([], [], 0)


# What goes in.


@pytest.mark.parametrize(
    ("content", "given"),
    [
        (b"alice\nbob", ["alice", "bob"]),
        (b"alice\r\nbob\r\n", ["alice", "bob"]),
        (b"\xef\xbb\xbfalice\nbob\n", ["alice", "bob"]),
        (b"\n\nalice\n\n \t\nbob\n\n", ["alice", "bob"]),
        (b"alice\nalice\nalice\n", ["alice", "alice", "alice"]),
        (b"-alice\n--\n", ["-alice", "--"]),
    ],
    ids=["no_last_line_end", "crlf", "bom", "blank_lines", "duplicates", "dashes"],
)
def test_batch__lines_as_people_have_them(batch, content: bytes, given: list[str]) -> None:
    assert batch(content) == (given, [], 0)


@pytest.mark.parametrize(
    ("bad", "says"),
    [
        (b" bob", "userid must be"),
        (b"bob ", "userid must be"),
        (b"bob,carol", "userid must be"),
        (b"b\0b", "userid must be"),
        (b"b\rb", "userid must be"),
        (b"\xef\xbb\xbfbob", "userid must be"),
        (b"x" * 33, "userid must be"),
        (b"x" * (LONGEST_LINE - 1), "userid must be"),
        (b"x" * LONGEST_LINE, "longer than"),
        (b"x" * (3 * LONGEST_LINE + 5), "longer than"),
        ("åse".encode(), "userid must be"),
        ("åse".encode("latin-1"), "not UTF-8"),
        (b"administrator", "reserved"),
    ],
    ids=[
        "space_before", "space_after", "comma", "nul", "cr", "late_bom", "long", "longest", "longer", "huge", "umlaut",
        "latin1", "reserved",
    ],
)  # fmt: skip
@pytest.mark.parametrize("format", ["csv", "jsonl"])
def test_batch__bad_line_is_told_and_passed_over(batch, bad: bytes, says: str, format: str) -> None:
    given, [told], code = batch(b"alice\n\n" + bad + b"\ncarol\n", format=format)
    assert (given, code) == (["alice", "carol"], 3)
    assert told.startswith("line 3: ")
    assert says in told


def test_batch__bad_last_line_without_an_end(batch) -> None:
    assert batch(b"alice\n" + b"x" * LONGEST_LINE)[0::2] == (["alice"], 3)
    assert batch(b"alice\n\xff")[0::2] == (["alice"], 3)


def test_batch__text_of_a_bad_line_is_not_shown(batch) -> None:
    """The file may be the wrong one, and hold a key."""
    for content in (TEST_SECRET_KEY.encode(), TEST_SECRET_KEY.encode() + b"\xff", b"a,b\n" + TEST_SECRET_KEY.encode()):
        for args in ((), ("--column", "a")):
            _given, told, _code = batch(content, *args)
            assert TEST_SECRET_KEY[:8] not in "".join(told)


def test_batch__counts_what_failed(tmp_path: Path) -> None:
    (tmp_path / "f").write_bytes(b"alice\nb b\n\xff\n\ncarol\n")
    with pytest.raises(CommandError, match="2 of 4 rows") as caught:
        call_command("gen_usersig", batch=str(tmp_path / "f"), stdout=io.StringIO(), stderr=io.StringIO())
    assert caught.value.returncode == 3


def test_batch__utf16_is_named(batch) -> None:
    for encoding in ("utf-16-le", "utf-16-be"):
        assert batch("\ufeffalice\n".encode(encoding)) == ([], [], 2)


def test_batch__allow_reserved(batch) -> None:
    assert batch(b"root\nalice\n", "--allow-reserved") == (["root", "alice"], [], 0)


def test_batch__environment_and_expire(settings, tmp_path: Path) -> None:
    live = {"SDKAPPID": 20000001, "SECRET_KEY": TEST_SECRET_KEY}
    settings.USERSIG = {**settings.USERSIG, "APPLICATIONS": {"live": live}}
    (tmp_path / "f").write_text("alice\n")
    stdout = io.StringIO()
    call_command(
        "gen_usersig", batch=str(tmp_path / "f"), environment="live", format="jsonl", expire="60", stdout=stdout
    )
    row = json.loads(stdout.getvalue())
    assert (row["sdkappid"], row["expire"]) == (20000001, 60)


# CSV in.


@pytest.mark.parametrize(
    ("content", "given"),
    [
        (b"id,userid\n1,alice\n2,bob\n", ["alice", "bob"]),
        (b"\xef\xbb\xbfuserid,id\r\nalice,1\r\nbob,2\r\n", ["alice", "bob"]),
        (b'"userid","note"\n"alice","two\nlines"\n"bob",""\n', ["alice", "bob"]),
        (b"userid\n\nalice\n\n", ["alice"]),
        (b"userid\nalice,more,cells\n", ["alice"]),
        (b"userid,\xc3\xa5\nalice,\xc3\xa5\n", ["alice"]),
    ],
    ids=["plain", "bom_crlf", "quoted", "blank_lines", "more_cells", "utf8"],
)
def test_batch__column_of_a_csv_file(batch, content: bytes, given: list[str]) -> None:
    assert batch(content, "--column", "userid") == (given, [], 0)


@pytest.mark.parametrize(
    ("bad", "line", "says"),
    [
        (b"1", 3, "no such column"),
        (b"1,", 3, "userid must be"),
        (b"1, bob", 3, "userid must be"),
        (b'1,"bo"b', 3, "not CSV"),
        (b"1,b\xffb", 3, "not UTF-8"),
        (b"1," + b"x" * LONGEST_LINE, 3, "longer than"),
        (b'1,"two\nlines"', 4, "userid must be"),
        (b"1,root", 3, "reserved"),
    ],
    ids=["short", "empty", "space", "quote", "latin1", "long", "two_lines", "reserved"],
)
def test_batch__bad_row_of_a_csv_file(batch, bad: bytes, line: int, says: str) -> None:
    given, [told], code = batch(b"id,userid\n0,alice\n" + bad + b"\n2,carol\n", "--column", "userid")
    assert (given, code) == (["alice", "carol"], 3)
    assert told.startswith(f"line {line}: ")
    assert says in told


def test_batch__quote_that_is_never_closed(batch) -> None:
    """What it swallowed is not passed over in silence."""
    given, [told], code = batch(b'userid\nalice\n"bob\ncarol\n', "--column", "userid")
    assert (given, code) == (["alice"], 3)
    assert "not CSV" in told
    assert "lines 3 to 4 are passed over" in told


@pytest.mark.parametrize(
    "content", [b"", b"id\n1\n", b"userid,userid\na,b\n", b"userid;id\nalice;1\n", b"UserID\nalice\n"]
)
def test_batch__column_that_is_not_there_once(batch, content: bytes) -> None:
    assert batch(content, "--column", "userid")[1:] == ([], 2)


# Usage and faults.


@pytest.mark.parametrize(
    "args",
    [
        ("--format", "text"),
        ("--format", "json"),
        ("--format", "env"),
        ("--room-id", "7"),
        ("--str-room-id", "lobby"),
        ("--privileges", "all"),
        ("--expire", "59"),
        ("alice",),
        ("--user", "alice"),
    ],
    ids=repr,
)
def test_batch__usage(tmp_path: Path, args: tuple[str, ...]) -> None:
    (tmp_path / "f").write_text("alice\n")
    stdout = io.StringIO()
    with pytest.raises(CommandError) as caught:
        call_command("gen_usersig", "--batch", str(tmp_path / "f"), *args, stdout=stdout)
    assert (caught.value.returncode, stdout.getvalue()) == (2, "")


@pytest.mark.parametrize("name", ["missing", ".", "missing/file"])
def test_batch__file_that_cannot_be_opened(tmp_path: Path, name: str) -> None:
    with pytest.raises(CommandError) as caught:
        call_command("gen_usersig", "--batch", str(tmp_path / name), stdout=io.StringIO())
    assert caught.value.returncode == 2


def test_batch__broken_application(settings, tmp_path: Path) -> None:
    """Not a byte comes out, not even the header."""
    settings.USERSIG = {**settings.USERSIG, "APPLICATIONS": {"default": {}}}
    (tmp_path / "f").write_text("alice\n")
    stdout = io.StringIO()
    with pytest.raises(CommandError) as caught:
        call_command("gen_usersig", "--batch", str(tmp_path / "f"), stdout=stdout)
    assert (caught.value.returncode, stdout.getvalue()) == (1, "")


def test_batch__output_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "f").write_text("alice\n")
    full = io.TextIOWrapper(io.FileIO("/dev/full", "w"), write_through=True)
    with full, pytest.raises(CommandError, match="No space left") as caught:
        call_command("gen_usersig", "--batch", str(tmp_path / "f"), stdout=full)
    assert caught.value.returncode == 1


def test_process__disk_that_is_full_is_1(tmp_path: Path) -> None:
    (tmp_path / "f").write_text("alice\n")
    command = [sys.executable, "manage.py", "gen_usersig", "--batch", str(tmp_path / "f")]
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(command, cwd=ROOT, env=ENV, stdout=full, stderr=subprocess.PIPE, text=True)
    assert done.returncode == 1
    assert "No space left" in done.stderr
    assert "Traceback" not in done.stderr


# --output.


def test_output__is_readable_by_its_owner_alone(batch, tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        assert batch(b"alice\nbob\n", "--output", str(tmp_path / "out.csv")) == ([], [], 0)
    finally:
        os.umask(before)
    assert userids((tmp_path / "out.csv").read_text()) == ["alice", "bob"]
    assert stat.S_IMODE((tmp_path / "out.csv").stat().st_mode) == 0o600
    assert sorted(path.name for path in tmp_path.iterdir()) == ["out.csv", "userids"]


def test_output__never_over_a_file_without_saying_so(batch, tmp_path: Path) -> None:
    out = tmp_path / "out.csv"
    out.write_text("precious")
    out.chmod(0o644)
    assert batch(b"alice\n", "--output", str(out)) == ([], [], 2)
    assert out.read_text() == "precious"
    assert batch(b"alice\n", "--output", str(out), "--overwrite") == ([], [], 0)
    assert userids(out.read_text()) == ["alice"]
    assert stat.S_IMODE(out.stat().st_mode) == 0o600


@pytest.mark.parametrize("overwrite", [(), ("--overwrite",)], ids=["new", "overwrite"])
def test_output__never_over_what_is_no_file(batch, tmp_path: Path, overwrite: tuple[str, ...]) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "precious")
    (tmp_path / "precious").write_text("precious")
    os.mkfifo(tmp_path / "fifo")
    for name in ("folder", "link", "fifo"):
        assert batch(b"alice\n", "--output", str(tmp_path / name), *overwrite) == ([], [], 2)
    assert (tmp_path / "precious").read_text() == "precious"
    assert (tmp_path / "link").is_symlink()


def test_output__name_that_was_taken_meanwhile(tmp_path: Path, monkeypatch) -> None:
    """By another run: what it wrote stays, and nothing half done is left."""
    out = tmp_path / "out.csv"

    class Rows(io.BytesIO):
        def readline(self, size=-1):
            assert out.exists() == bool(self.tell())
            assert len(list(tmp_path.glob(".out.csv.*.part"))) == 1
            out.write_text("another run's")
            return super().readline(size)

    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(Rows(b"alice\n")))
    with pytest.raises(CommandError, match="exists") as caught:
        call_command("gen_usersig", batch="-", output=str(out))
    assert caught.value.returncode == 2
    assert out.read_text() == "another run's"
    assert list(tmp_path.iterdir()) == [out]


def test_output__killed_run_leaves_no_file_of_that_name(tmp_path: Path) -> None:
    out = tmp_path / "out.csv"
    command = [sys.executable, "manage.py", "gen_usersig", "--batch", "-", "--output", str(out)]
    with subprocess.Popen(command, cwd=ROOT, env=ENV, stdin=subprocess.PIPE) as process:
        while not list(tmp_path.iterdir()):
            assert process.poll() is None
        process.kill()
    [partial] = tmp_path.iterdir()
    assert partial.name.endswith(".part")
    assert stat.S_IMODE(partial.stat().st_mode) == 0o600


def test_output__is_complete_or_not_there(batch, tmp_path: Path) -> None:
    out = tmp_path / "out.csv"
    assert batch(b"alice\nb b\nbob\n", "--output", str(out))[2] == 3
    assert userids(out.read_text()) == ["alice", "bob"]
    assert batch(b"id\nalice\n", "--column", "userid", "--output", str(tmp_path / "none.csv"))[2] == 2
    assert sorted(path.name for path in tmp_path.iterdir()) == ["out.csv", "userids"]


def test_output__folder_that_is_not_there(batch, tmp_path: Path) -> None:
    assert batch(b"alice\n", "--output", str(tmp_path / "no" / "out.csv")) == ([], [], 1)


# Audit.


def test_batch__one_audit_line(batch, caplog) -> None:
    caplog.set_level(logging.INFO, logger="usersig_django.audit")
    batch(b"alice\nb b\nroot\nbob\n")
    [line] = caplog.messages
    assert "kind=usersig_batch" in line
    assert "channel=command" in line
    assert line.endswith("count=2 refused=2 reserved=root")


@pytest.mark.django_db
@pytest.mark.parametrize("args", [(), ("--column", "userid")], ids=["lines", "csv"])
def test_batch__line_numbers_while_records_are_written_in_bulk(settings, batch, args: tuple[str, ...]) -> None:
    settings.USERSIG = {**settings.USERSIG, "AUDIT_TO_DATABASE": True}
    rows = [b"userid", *(b"u-%d" % number for number in range(2, 1200))]
    for number in (3, 700, 1199):
        rows[number - 1] = b"b b"
    given, told, code = batch(b"\n".join(rows), *args)
    assert [line.split(":")[0] for line in told] == ["line 3", "line 700", "line 1199"]
    assert code == 3
    assert len(given) == IssuedRecord.objects.count() == len(rows) - 3 - bool(args)


# As a process.


def test_process__standard_input_to_standard_output() -> None:
    done = run("--batch", "-", "--format", "jsonl", input="alice\nb b\nbob\n")
    assert userids(done.stdout, "jsonl") == ["alice", "bob"]
    assert done.returncode == 3
    first, second = done.stderr.splitlines()
    assert first.startswith("line 2: ")
    assert second == "CommandError: 1 of 3 rows gave no UserSig."


@pytest.mark.parametrize("last", ["carol", "b b"], ids=["good", "bad"])
def test_process__closed_pipe_ends_quietly(last: str) -> None:
    rows = "".join(f"user-{number}\n" for number in range(20_000)) + last + "\n"
    command = f"{sys.executable} manage.py gen_usersig --batch - | head -n 1; exit ${{PIPESTATUS[0]}}"
    done = subprocess.run(
        ["bash", "-c", command],
        cwd=ROOT,
        env=ENV,
        input=rows,
        capture_output=True,
        text=True,
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == ",".join(COLUMNS) + "\n"


def test_process__rows_come_while_rows_go(tmp_path: Path) -> None:
    """Streamed: the first rows are out before the last are in."""
    command = [sys.executable, "manage.py", "gen_usersig", "--batch", "-", "--format", "jsonl"]
    with subprocess.Popen(
        command, cwd=ROOT, env=ENV, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        process.stdin.write("".join(f"user-{number}\n" for number in range(1000)))
        process.stdin.flush()
        assert json.loads(process.stdout.readline())["userid"] == "user-0"
        process.stdin.close()
        assert len(process.stdout.readlines()) == 999


def test_batch__memory_does_not_grow_with_the_file(tmp_path: Path) -> None:
    def peak(count):
        file = tmp_path / f"{count}"
        file.write_text("".join(f"user-{number}\n" for number in range(count)))
        with Path(os.devnull).open("w") as nowhere:
            tracemalloc.start()
            call_command("gen_usersig", batch=str(file), stdout=nowhere)
            _now, most = tracemalloc.get_traced_memory()
            tracemalloc.stop()
        return most

    peak(10)
    assert peak(5000) < peak(500) + 50_000


# The bar.


@contextmanager
def stderr_is_a_terminal():
    """Gives a function that reads what was on it. No fixture: pytest sets stderr anew for the test itself."""
    reading, writing = pty.openpty()
    termios.tcsetwinsize(writing, (24, 80))
    with (
        os.fdopen(reading, "rb", buffering=0) as screen,
        os.fdopen(writing, "w") as stderr,
        pytest.MonkeyPatch.context() as patched,
    ):

        def read():
            stderr.flush()
            shown = b""
            while select.select([screen], [], [], 0.3)[0]:
                shown += screen.read(65_536)
            return shown.decode()

        patched.setattr(sys, "stderr", stderr)
        yield read


def test_progress__bar_on_a_terminal(tmp_path: Path) -> None:
    (tmp_path / "f").write_text("alice\nb b\nbob\n")
    with stderr_is_a_terminal() as read:
        with pytest.raises(CommandError):
            call_command("gen_usersig", batch=str(tmp_path / "f"), stdout=io.StringIO())
        shown = read()
    assert "14.0/14.0" in shown
    assert "100%" in shown
    assert "line 2: " in shown


def test_progress__of_a_pipe_has_no_end(tmp_path: Path, monkeypatch) -> None:
    reading, writing = os.pipe()
    os.write(writing, b"alice\n")
    os.close(writing)
    with stderr_is_a_terminal() as read, os.fdopen(reading) as stdin:
        monkeypatch.setattr(sys, "stdin", stdin)
        call_command("gen_usersig", batch="-", output=str(tmp_path / "out"))
        shown = read()
    assert "6.00B" in shown
    assert "%" not in shown


def test_progress__none_without_tqdm(tmp_path: Path, monkeypatch) -> None:
    (tmp_path / "f").write_text("alice\nb b\n")
    monkeypatch.setitem(sys.modules, "tqdm", None)
    stdout = io.StringIO()
    with stderr_is_a_terminal() as read:
        with pytest.raises(CommandError):
            call_command("gen_usersig", batch=str(tmp_path / "f"), stdout=stdout)
        shown = read()
    assert userids(stdout.getvalue()) == ["alice"]
    assert "%" not in shown
    assert "line 2: " in shown


def test_progress__none_among_rows_on_the_same_terminal(tmp_path: Path) -> None:
    (tmp_path / "f").write_text("alice\n")
    with stderr_is_a_terminal() as read:
        call_command("gen_usersig", batch=str(tmp_path / "f"), stdout=sys.stderr)
        shown = read()
    assert "%" not in shown
    assert "alice" in shown
