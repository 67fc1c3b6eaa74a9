import copy
import pickle
import traceback

import pytest

from usersig_django.secret import Secret

TEXT = "5e5bb1a0c7"


def test_secret__reveals_what_it_was_given() -> None:
    assert Secret(TEXT).reveal() == TEXT


@pytest.mark.parametrize(
    "show",
    [repr, str, "{}".format, "{:>20}".format, "%s".__mod__, lambda secret: f"{secret!a}", lambda s: repr([s])],
    ids=["repr", "str", "format", "format_spec", "percent", "ascii", "inside_a_list"],
)
def test_secret__shows_nothing(show) -> None:
    assert TEXT not in show(Secret(TEXT))
    assert "********" in show(Secret(TEXT))


def test_secret__has_no_attribute_that_holds_it() -> None:
    """As error trackers and Django's debug page look: slots, `__dict__`, public and private names."""
    secret = Secret(TEXT)
    assert not hasattr(secret, "__dict__")
    values = [getattr(secret, name) for name in dir(secret) if name != "reveal"]
    assert TEXT not in repr(values)


def test_secret__is_not_serialized() -> None:
    for protocol in range(pickle.HIGHEST_PROTOCOL + 1):
        with pytest.raises(TypeError) as caught:
            pickle.dumps(Secret(TEXT), protocol)
        assert TEXT not in "".join(traceback.format_exception(caught.value))


def test_secret__copies_are_itself() -> None:
    secret = Secret(TEXT)
    assert copy.copy(secret) is secret
    assert copy.deepcopy([secret])[0] is secret


def test_secret__is_true_where_it_holds_something() -> None:
    assert Secret(TEXT)
    assert not Secret("")
