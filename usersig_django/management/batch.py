"""What `gen_usersig --batch` reads and writes, a row at a time: its memory does not grow with the file."""

import codecs
import csv
import json
import os
import stat
import sys
import tempfile
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, Final, NoReturn, TextIO

from django.core.management.base import CommandError, OutputWrapper
from django.utils.translation import gettext as _

from usersig_django.batch import Refusal
from usersig_django.faults import translated
from usersig_django.issuing import IssuedUserSig
from usersig_django.management.base import USAGE
from usersig_django.serializers import as_usersig_answer

if TYPE_CHECKING:
    from tqdm import tqdm

# Bytes: far beyond any UserID, and little enough that a file without line breaks does no harm.
LONGEST_LINE: Final = 65_536
COLUMNS: Final = ("sdkappid", "userid", "usersig", "expire", "issued_at", "expires_at")

Write = Callable[[IssuedUserSig], object]


class Report:
    """What a run tells on stderr: each bad row at once, and where that is a terminal and tqdm is installed, how far
    it has come."""

    def __init__(self, source: BinaryIO, stderr: OutputWrapper, *, shown: bool) -> None:
        self.count = 0
        self.failed = 0
        self._stderr = stderr
        self._bar = _progress_bar(source) if shown and sys.stderr.isatty() else None

    def advance(self, size: int) -> None:
        if self._bar is not None:
            self._bar.update(size)

    def refuse(self, line: int, reason: object) -> None:
        self.count += 1
        self.failed += 1
        if self._bar is not None:
            self._bar.clear()
        self._stderr.write(_("line %(line)d: %(reason)s") % {"line": line, "reason": reason})

    def close(self) -> None:
        if self._bar is not None:
            self._bar.close()


def _progress_bar(source: BinaryIO) -> "tqdm[NoReturn] | None":
    try:
        from tqdm import tqdm
    except ImportError:
        return None
    status = os.fstat(source.fileno())
    # In bytes: how many rows there are is not known before the last one is read.
    total = status.st_size if stat.S_ISREG(status.st_mode) else None
    return tqdm(total=total, unit="B", unit_scale=True, file=sys.stderr)


class UserIDRows:
    """The UserIDs in a file: one a line, or with `column` that column of a CSV file whose first row names it.

    UTF-8, with or without a byte order mark; lines may end in CRLF; blank ones are passed over. A row that cannot be
    read goes to the report with its line number, and the next one is read. The text of a row is never reported: the
    file may be the wrong one, and hold a key.
    """

    def __init__(
        self,
        file: BinaryIO,
        column: str | None,
        report: Report,
    ) -> None:
        self._file = file
        self._column = column
        self._report = report
        self._line = 0
        self._in_work: deque[int] = deque()

    def __iter__(self) -> Iterator[str]:
        for userid in self._from_lines() if self._column is None else self._from_column(self._column):
            self._in_work.append(self._line)
            yield userid

    def next_line_in_work(self) -> int:
        """The line of the first UserID that was given and not asked about yet."""
        return self._in_work.popleft()

    def _from_lines(self) -> Iterator[str]:
        for line in self._lines():
            if not line.isspace():
                yield line.removesuffix("\n").removesuffix("\r")

    def _from_column(self, column: str) -> Iterator[str]:
        rows = csv.reader(self._lines(), strict=True)
        header = next(rows, [])
        if header.count(column) != 1:
            raise CommandError(
                _("Of the %(count)d columns that the first row names, not exactly one is %(column)r.")
                % {"count": len(header), "column": column},
                returncode=USAGE,
            )
        position = header.index(column)
        while True:
            first = self._line + 1
            try:
                row = next(rows)
            except StopIteration:
                return
            except csv.Error as error:
                span = {"error": error, "first": first, "last": self._line}
                # A quote that does not end takes lines with it, and none of them may be missed in silence.
                self._report.refuse(first, _("not CSV: %(error)s; lines %(first)d to %(last)d are passed over") % span)
                continue
            if len(row) > position:
                yield row[position]
            elif row:
                self._report.refuse(self._line, _("the row has no such column"))

    def _lines(self) -> Iterator[str]:
        for read in iter(lambda: self._file.readline(LONGEST_LINE), b""):
            self._line += 1
            self._report.advance(len(read))
            line = read if self._line > 1 else _without_mark(read)
            if len(read) == LONGEST_LINE and not line.endswith(b"\n"):
                self._skip_rest_of_line()
                self._report.refuse(self._line, _("longer than any row can be"))
                continue
            try:
                yield line.decode()
            except UnicodeDecodeError:
                self._report.refuse(self._line, _("not UTF-8"))

    def _skip_rest_of_line(self) -> None:
        while (rest := self._file.readline(LONGEST_LINE)) and not rest.endswith(b"\n"):
            self._report.advance(len(rest))


def _without_mark(line: bytes) -> bytes:
    if line.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        raise CommandError(_("The file is UTF-16: save it as UTF-8."), returncode=USAGE)
    return line.removeprefix(codecs.BOM_UTF8)


def write_csv(file: Any) -> Write:
    writer = csv.writer(file, lineterminator="\n")
    writer.writerow(COLUMNS)
    return lambda issued: writer.writerow(as_usersig_answer(issued).values())


def write_jsonl(file: Any) -> Write:
    encode = json.JSONEncoder().encode
    return lambda issued: file.write(encode(as_usersig_answer(issued)) + "\n")


BATCH_FORMATS: Final[dict[str, Callable[[Any], Write]]] = {"csv": write_csv, "jsonl": write_jsonl}


def write_rows(results: Iterable[IssuedUserSig | Refusal], rows: UserIDRows, write: Write, report: Report) -> None:
    for result in results:
        line = rows.next_line_in_work()
        if isinstance(result, IssuedUserSig):
            report.count += 1
            write(result)
        else:
            report.refuse(line, translated(result))


@contextmanager
def whole_file(path: Path, *, overwrite: bool) -> Iterator[TextIO]:
    """A file with mode 0600 that appears under its name when it is complete, and not at all otherwise."""
    if path.is_symlink() or (path.exists() and not (overwrite and path.is_file())):
        raise _taken(path)
    descriptor, partial = tempfile.mkstemp(prefix=f".{path.name}.", suffix=".part", dir=path.parent)
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8", newline="") as file:
            yield file
        if overwrite:
            Path(partial).replace(path)
        else:
            # Unlike a rename, a link takes no name that has come into use meanwhile.
            os.link(partial, path)
    except FileExistsError:
        raise _taken(path) from None
    finally:
        Path(partial).unlink(missing_ok=True)


def _taken(path: Path) -> CommandError:
    return CommandError(
        _("%(path)s exists: name another file, or say --overwrite for a regular one.") % {"path": path},
        returncode=USAGE,
    )
