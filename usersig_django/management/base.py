"""What this package's commands share: the exit codes of DESIGN 6 and the quiet end of a closed pipe."""

import os
import re
import sys
from abc import ABC
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Final, NoReturn

from django.core.exceptions import ImproperlyConfigured
from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import Error as DatabaseFault
from django.utils.translation import gettext as _

from usersig_django.exceptions import InvalidUserSig, RevocationFailed, SigningUnavailable, UserSigError
from usersig_django.faults import translated

FAULT: Final = 1
USAGE: Final = 2
SOME_FAILED: Final = 3
NOT_VERIFIED: Final = 4
# Shorter ones are no key, and a piece of nothing worth having.
SHORTEST_HIDDEN: Final = 8
HIDDEN: Final = "********"
_OPTION: Final = re.compile(r"\A--[a-z][a-z-]*(=|\Z)")


class UsersigCommand(BaseCommand, ABC):
    """A command whose errors leave with the documented code, from a shell and from `call_command` alike."""

    help: Any  # Django's str, or a lazy one
    _called_from_command_line: bool

    def add_arguments(self, parser: CommandParser) -> None:
        # Django makes the parser itself; as ours it also hands itself on to its subparsers.
        parser.__class__ = _Parser
        # argparse searches it with a pattern, which takes no lazy text.
        parser.description = str(self.help)

    def execute(self, *args: Any, **options: Any) -> str | None:
        if sys.stdout is None and not options.get("stdout"):
            # A shell closed it with `>&-`: said before anything is done that could not be reported.
            raise CommandError(_("Standard output is closed."), returncode=FAULT)
        try:
            with exit_codes():
                output = super().execute(*args, **options)
                self.stdout.flush()
        except BrokenPipeError:
            self._let_stdout_go()
            return None
        except CommandError:
            self._let_stdout_go()
            raise
        except OSError as error:
            self._let_stdout_go()
            raise CommandError(str(error), returncode=FAULT) from error
        return output

    def _let_stdout_go(self) -> None:
        """What cannot be written now, the interpreter would try again when it ends, and complain with its own code."""
        try:
            self.stdout.flush()
        except OSError:
            if self._called_from_command_line:
                os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


@contextmanager
def exit_codes() -> Iterator[None]:
    """Turn this package's errors into CommandError with the code of DESIGN 6."""
    try:
        yield
    except InvalidUserSig as error:
        raise CommandError(translated(error), returncode=NOT_VERIFIED) from error
    except (SigningUnavailable, RevocationFailed, ImproperlyConfigured) as error:
        raise CommandError(translated(error), returncode=FAULT) from error
    except DatabaseFault as error:
        raise CommandError(_("The database failed: %(error)s") % {"error": error}, returncode=FAULT) from error
    except UserSigError as error:
        raise CommandError(translated(error), returncode=USAGE) from error


class _Parser(CommandParser):
    """Gives `call_command` the code that argparse gives a shell, and repeats no argument that may be a key or a token
    in the wrong place: what a terminal shows, a CI server stores."""

    _given: Sequence[str] = ()

    def parse_known_args(self, args: Any = None, namespace: Any = None) -> Any:
        self._given = sys.argv[1:] if args is None else [str(argument) for argument in args]
        return super().parse_known_args(args, namespace)

    def error(self, message: str) -> NoReturn:
        for argument in sorted(self._given, key=len, reverse=True):
            value = _OPTION.sub("", argument)
            if len(value) >= SHORTEST_HIDDEN:
                message = message.replace(repr(value)[1:-1], HIDDEN).replace(value, HIDDEN)
        if self.called_from_command_line:
            super().error(message)
        raise CommandError(_("Error: %(message)s") % {"message": message}, returncode=USAGE)
