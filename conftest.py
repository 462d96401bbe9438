"""Tell nbval what to leave out of its comparisons, in whatever folder it is started."""

from pathlib import Path

import pytest


def pytest_configure(config: pytest.Config) -> None:
    """Add the rules of tests/nbval.cfg, where nbval is there and has no others."""
    if not config.getoption("nbval_sanitize_with", "no nbval"):
        rules = Path(__file__).parent / "tests" / "nbval.cfg"
        config.option.nbval_sanitize_with = str(rules)
