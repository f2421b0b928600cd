"""The pictures of the page in `docs/`: what a user is shown, and what answers a text after one more word.

Of the home in the environment, which must hold a published day of the bundled sample (`make run`).

python -m benchmarks.screenshots [--user u00042] [--out docs]
"""

import argparse
import io
import os
from pathlib import Path
from urllib.parse import urlencode

from PIL import Image
from selenium.webdriver import Chrome
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys

from benchmarks.browsing import browser, page_served, settle
from benchmarks.program import REPOSITORY

TEXT, TURN = "something warm for rainy hikes, 露营", "more like the third, not the first"
NUM_COLORS = 64


def main() -> None:
    """Write both pictures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--user", default="u00042", help="whom the first picture shows")
    parser.add_argument("--out", type=Path, default=REPOSITORY / "docs", help="folder to write to")
    given = parser.parse_args()
    with page_served(os.environ) as address:
        with browser(width=1200, height=900) as driver:
            _open(driver, address, user=given.user)
            _write(driver, given.out / "page.png")
        with browser(width=1200, height=700, is_dark=True) as driver:
            _open(driver, address, text=TEXT)
            driver.find_element(By.ID, "say").send_keys(TURN, Keys.ENTER)
            _await_answer(driver)
            _write(driver, given.out / "page-text.png")


def _open(driver: Chrome, address: str, **asked: str) -> None:
    driver.get(f"{address}/#{urlencode(asked)}")
    _await_answer(driver)


def _await_answer(driver: Chrome) -> None:
    """Wait for the answer; raises `RuntimeError` with what the page says where there is none."""
    settle(driver)
    problem = driver.find_element(By.ID, "problem").text
    if problem:
        raise RuntimeError(f"the page says: {problem}")


def _write(driver: Chrome, path: Path) -> None:
    """What the window shows, in few colours: it is text on a plain ground."""
    picture = Image.open(io.BytesIO(driver.get_screenshot_as_png())).convert("RGB")
    picture.quantize(NUM_COLORS).save(path, optimize=True)
    print(f"{path}: {path.stat().st_size:,} bytes")


if __name__ == "__main__":
    main()
