"""The service's page in a real Chromium: the program that serves it, and the browser that shows it.

For whoever looks at the page by program: the page's tests and `benchmarks.screenshots`.
"""

import json
import re
import shutil
import subprocess
import tempfile
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from selenium.webdriver import Chrome, ChromeOptions
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.support.wait import WebDriverWait

from benchmarks.program import PROGRAM, REPOSITORY

# Quiet: nothing of the browser's own business leaves the machine.
_SWITCHES = (
    "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--hide-scrollbars", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-default-apps", "--disable-sync",
)  # fmt: skip
_RUNNING = re.compile(r"running on (http://[^ \"]+)")
MISSING = "chromium and chromedriver are not installed (make chromium; Debian: apt-get install chromium chromium-driver)"


def has_browser() -> bool:
    """Whether Chromium and its driver are on this machine; `MISSING` says what to do where they are not."""
    return all(shutil.which(name) for name in ("chromium", "chromedriver"))


@contextmanager
def page_served(environ: Mapping[str, str]) -> Iterator[str]:
    """`interest-graph serve` over what is published, on a free port of loopback; its address, as `http://127.0.0.1:PORT`.

    Raises `RuntimeError` with what the program said where it does not start.
    """
    process = subprocess.Popen(  # noqa: S603
        [str(PROGRAM), "serve", "--port", "0"], env=dict(environ), cwd=REPOSITORY, stderr=subprocess.PIPE, text=True
    )
    assert process.stderr is not None  # noqa: S101  (asked for)
    said = []
    try:
        for line in process.stderr:
            said.append(line)
            found = _RUNNING.search(line)
            if found:
                break
        else:
            raise RuntimeError(f"the service did not start: {''.join(said)[-4000:]}")
        # A full pipe would stop the service.
        threading.Thread(target=process.stderr.read, daemon=True).start()
        yield found.group(1)
    finally:
        process.terminate()
        try:
            process.wait(timeout=60)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
            raise


@contextmanager
def browser(*, width: int = 1200, height: int = 900, is_dark: bool = False) -> Iterator[Chrome]:
    """A new Chromium that has never been anywhere, its window in CSS pixels. Raises `RuntimeError` where there is none."""
    if not has_browser():
        raise RuntimeError(MISSING)
    with tempfile.TemporaryDirectory(prefix="chromium-", ignore_cleanup_errors=True) as folder:
        options = ChromeOptions()
        options.binary_location = str(shutil.which("chromium"))
        for switch in (*_SWITCHES, f"--user-data-dir={folder}"):
            options.add_argument(switch)
        options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
        driver = Chrome(options=options, service=Service(executable_path=shutil.which("chromedriver")))
        try:
            resize(driver, width=width, height=height)
            features = [{"name": "prefers-color-scheme", "value": "dark" if is_dark else "light"}]
            driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": features})
            # The page that a new window begins with is none of ours, nor is what it asked for.
            driver.get("about:blank")
            addresses_asked(driver)
            yield driver
        finally:
            driver.quit()


def resize(driver: Chrome, *, width: int, height: int) -> None:
    """Give the page this many CSS pixels; a headless window cannot be as narrow as a phone."""
    metrics = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": False}
    driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)


def settle(driver: Chrome) -> None:
    """Wait until the page shows everything that was asked for; two minutes at most, for the machine may be busy."""
    is_settled = (
        "return document.readyState === 'complete' && document.body.dataset.begun === location.hash"
        " && !document.body.hasAttribute('aria-busy')"
    )
    WebDriverWait(driver, 120, poll_frequency=0.05).until(lambda driver: driver.execute_script(is_settled))


def addresses_asked(driver: Chrome) -> list[str]:
    """Every address the page has asked for since this was last looked at, in order."""
    found: list[str] = []
    for entry in driver.get_log("performance"):  # type: ignore[no-untyped-call]
        message: dict[str, Any] = json.loads(entry["message"])["message"]
        if message["method"] == "Network.requestWillBeSent":
            found.append(message["params"]["request"]["url"])
    return found
