"""Sphinx's configuration. `sphinx-build -W docs OUT`, with the package importable."""

import os
import re
import sys
from pathlib import Path
from typing import Any

import django
from sphinx.application import Sphinx

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))
os.environ.setdefault("DJANGO_SETTINGS_MODULE", "example_project.settings")
django.setup()

from usersig_django import __version__  # noqa: E402
from usersig_django.diagnosis import DIAGNOSES  # noqa: E402

project = "usersig_django"
author = "The usersig_django authors"
copyright = "the usersig_django authors"
version = release = __version__

extensions = ["myst_parser", "sphinx.ext.autodoc"]
exclude_patterns = ["_build"]
html_theme = "furo"
html_title = f"usersig_django {__version__}"
html_show_sphinx = False

myst_enable_extensions = ["substitution"]
myst_heading_anchors = 3
# The package's docstrings put names in single backticks.
default_role = "code"
autodoc_member_order = "bysource"
autodoc_typehints = "signature"
autodoc_preserve_defaults = True

myst_substitutions = {
    "diagnosis": "\n".join(
        [
            "| code | from | means | look at |",
            "|---|---|---|---|",
            *(f"| {found.code} | {found.origin} | {found.cause} | {found.look_at} |" for found in DIAGNOSES),
        ]
    ),
}


def drop_references(_app: Sphinx, _what: str, _name: str, _object: Any, _options: Any, lines: list[str]) -> None:
    """Docstrings name sections of documents that a reader of these pages does not have."""
    text = re.sub(r"\s*\((?:DESIGN|SECURITY|PROTOCOL)[^)]*\)", "", "\n".join(lines))
    lines[:] = text.split("\n")


def setup(app: Sphinx) -> None:
    app.connect("autodoc-process-docstring", drop_references)
