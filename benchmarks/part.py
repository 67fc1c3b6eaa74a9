"""One part of the measurements, in a process of its own with Django loaded: `python -m benchmarks.part NAME SIZE`.
It prints its rows as JSON."""

import json
import os
import sys
from importlib import import_module

import django
from django.urls import get_resolver

from benchmarks.sizes import SIZES


def main() -> None:
    name, size = sys.argv[1:]
    os.environ["DJANGO_SETTINGS_MODULE"] = "benchmarks.settings"
    django.setup()
    # A server has its URLs loaded, and with them every view.
    _ = get_resolver().url_patterns
    rows = import_module(f"benchmarks.{name}").measure(SIZES[size])
    print(json.dumps([row.as_dict() for row in rows]))


if __name__ == "__main__":
    main()
