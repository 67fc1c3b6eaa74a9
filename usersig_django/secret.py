"""An opaque holder for key text, so that no repr, pickle, dump of locals or debug page shows it (SECURITY 5)."""

from collections.abc import Callable
from typing import NoReturn, Self


class Secret:
    """Text that shows itself only through `reveal()`."""

    __slots__ = ("_reveal",)

    # A closure and not an attribute: error trackers and debug pages walk slots and `__dict__`, not cells.
    _reveal: Callable[[], str]

    def __init__(self, text: str) -> None:
        self._reveal = lambda: text

    def reveal(self) -> str:
        return self._reveal()

    def __bool__(self) -> bool:
        return bool(self._reveal())

    def __repr__(self) -> str:
        return "<Secret ********>"

    __str__ = __repr__

    def __format__(self, spec: str) -> str:
        return repr(self)

    def __copy__(self) -> Self:
        return self

    def __deepcopy__(self, memo: object) -> Self:
        return self

    def __reduce_ex__(self, protocol: object) -> NoReturn:
        raise TypeError("A Secret cannot be pickled.")
