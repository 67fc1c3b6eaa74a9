import os
import re
from pathlib import Path

import pytest
from django.core.cache import cache
from hypothesis import settings as hypothesis_settings

from usersig_django import applications

hypothesis_settings.register_profile("default", max_examples=50, deadline=None)
hypothesis_settings.register_profile("ci", max_examples=5000, deadline=None)
hypothesis_settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "default"))


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """The default run needs nothing but Python: without the packages of their groups these folders cannot even be
    imported. Whoever asks for their marker is told so by the import that fails."""
    marker = collection_path.name
    if marker not in ("e2e", "load"):
        return None
    expression = config.getoption("markexpr")
    asked_for = not expression or re.search(rf"(?<!not )\b{marker}\b", expression)
    return None if asked_for else True


@pytest.fixture(autouse=True)
def _forget_between_tests():
    """Each test counts its own requests and looks its own applications up."""
    applications.invalidate()
    cache.clear()
