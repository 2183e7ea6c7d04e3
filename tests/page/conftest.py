"""A browser, one for all tests; pages made once."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

import pytest

from tests.page.browser import Browser

BROWSERS = ("chromium", "chromium-browser", "google-chrome", "chrome")


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """Headless Chromium; what a page holds is tested without one too, what it does is not."""
    binary = next(filter(None, map(shutil.which, BROWSERS)), None)
    driver = shutil.which("chromedriver")
    if binary is None or driver is None or find_spec("selenium") is None:
        pytest.skip("needs Chromium, chromedriver and selenium: pip install 'graphopt[test]', apt-get install chromium chromium-driver")
    opened = Browser(Path(binary), Path(driver))
    yield opened
    opened.close()
