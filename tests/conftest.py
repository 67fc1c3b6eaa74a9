import os

import pytest
from django.core.cache import cache
from hypothesis import settings as hypothesis_settings

from usersig_django import applications

hypothesis_settings.register_profile("default", max_examples=50, deadline=None)
hypothesis_settings.register_profile("ci", max_examples=5000, deadline=None)
hypothesis_settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "default"))


@pytest.fixture(autouse=True)
def _forget_between_tests():
    """Each test counts its own requests and looks its own applications up."""
    applications.invalidate()
    cache.clear()
