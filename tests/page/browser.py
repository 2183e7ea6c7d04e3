"""Chromium by remote control: what tests ask a page, in few words."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from selenium.webdriver.remote.webelement import WebElement

PATIENCE = 60  # seconds until a page that does nothing is given up


class Browser:
    """One window. Every failure that the page reports, and everything that it fetched, is kept until asked for."""

    def __init__(self, binary: Path, driver: Path) -> None:
        from selenium import webdriver

        options = webdriver.ChromeOptions()
        options.binary_location = str(binary)
        for word in ("--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--window-size=1440,900"):
            options.add_argument(word)
        options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
        self._driver = webdriver.Chrome(options=options, service=webdriver.ChromeService(str(driver)))

    def close(self) -> None:
        self._driver.quit()

    def open(self, page: Path, *, dark: bool = False, until: str = "yes") -> float:
        """Show a page, and return after how many seconds it answered; `until="all"`: after the last region was laid out."""
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self._driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": [scheme]})
        self.errors()
        self.fetched()
        self._driver.get(page.as_uri())
        self.wait(f"['{until}', 'all'].includes(document.documentElement.dataset.ready)")
        return float(self.run("return performance.getEntriesByType('navigation')[0].domContentLoadedEventEnd")) / 1000

    def run(self, script: str, *arguments: object) -> Any:  # Any: what the script returns
        return self._driver.execute_script(script, *arguments)

    def wait(self, condition: str) -> None:
        """Until a JavaScript expression is true."""
        end = time.monotonic() + PATIENCE
        while not self.run(f"return Boolean({condition})"):
            assert time.monotonic() < end, f"never came true: {condition}\n{self.errors()}"
            time.sleep(0.05)

    def all(self, selector: str) -> list[WebElement]:
        return self._driver.find_elements("css selector", selector)

    def click(self, selector: str, place: int = 0) -> None:
        self.all(selector)[place].click()

    def text(self, selector: str) -> str:
        return str(self.run("const found = document.querySelector(arguments[0]); return found.innerText ?? found.textContent", selector))

    def type(self, selector: str, *keys: str) -> None:
        self.all(selector)[0].send_keys(*keys)

    def press(self, *keys: str) -> None:
        from selenium.webdriver import ActionChains

        for key in keys:
            ActionChains(self._driver).send_keys(key).perform()

    def scroll(self, selector: str, by: int) -> None:
        from selenium.webdriver import ActionChains
        from selenium.webdriver.common.actions.wheel_input import ScrollOrigin

        ActionChains(self._driver).scroll_from_origin(ScrollOrigin.from_element(self.all(selector)[0]), 0, by).perform()

    def double_click(self, element: WebElement) -> None:
        from selenium.webdriver import ActionChains

        ActionChains(self._driver).double_click(element).perform()

    def transform(self, side: str) -> tuple[float, float, float]:
        """x, y and scale of what a pane shows, once it stands still."""
        script = "return document.querySelector(arguments[0] + ' svg > g').getAttribute('transform')"
        known, end = "", time.monotonic() + PATIENCE
        while known != (now := str(self.run(script, f".pane.{side}"))):
            assert time.monotonic() < end, f"the graph {side} never stands still"
            known = now
            time.sleep(0.2)
        x, y, scale = (float(number) for number in known.replace("translate(", "").replace(")", "").replace(" scale(", ",").split(","))
        return x, y, scale

    def settle(self) -> None:
        """Until both graphs stand still."""
        for side in ("before", "after"):
            if self.all(f".pane.{side} svg > g"):
                self.transform(side)

    def printed(self) -> bytes:
        """The page on paper, as PDF."""
        import base64

        return base64.b64decode(self._driver.execute_cdp_cmd("Page.printToPDF", {})["data"])

    def errors(self) -> list[str]:
        """What the page complained of since the last call."""
        return [str(entry["message"]) for entry in self._log("browser") if entry["level"] == "SEVERE"]

    def _log(self, kind: str) -> list[dict[str, Any]]:  # Any: JSON
        found: list[dict[str, Any]] = self._driver.get_log(kind)  # type: ignore[no-untyped-call]  # selenium leaves it untyped
        return found

    def fetched(self) -> list[str]:
        """The addresses that the page asked for since the last call."""
        messages = [json.loads(entry["message"])["message"] for entry in self._log("performance")]
        return [message["params"]["request"]["url"] for message in messages if message["method"] == "Network.requestWillBeSent"]
