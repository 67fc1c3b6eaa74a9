"""client.js under node's own test runner; in a browser it is driven by tests/e2e."""

import shutil
import subprocess
from pathlib import Path

import pytest

pytestmark = pytest.mark.e2e

TESTS = sorted((Path(__file__).parent / "client").glob("*.test.mjs"))


def test_client_js__passes_its_own_tests() -> None:
    """The files are named one by one: node 20 takes a folder here, node 22 a pattern."""
    node = shutil.which("node")
    assert node, "client.js is tested by node 20 or newer: apt-get install nodejs"
    assert TESTS
    result = subprocess.run(
        [node, "--test", "--test-reporter=spec", *map(str, TESTS)],
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert result.returncode == 0, result.stdout + result.stderr
