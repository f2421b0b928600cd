"""The page as people use it: `interest-graph serve` over a finished world, looked at in a real Chromium."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import pyarrow as pa
import pyarrow.compute as pc
import pytest
from selenium.webdriver import Chrome
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.remote.webelement import WebElement
from selenium.webdriver.support.wait import WebDriverWait

from benchmarks.browsing import MISSING, addresses_asked, browser, has_browser, page_served, resize, settle
from ml.contracts import CONTRACTS
from ml.contracts.store import TableStore
from serving.access.keys import create_key

from .conftest import World

pytestmark = pytest.mark.skipif(not has_browser(), reason=MISSING)

MARKUP = "<script>document.title = 'taken over'</script><b>露营</b> & Co"
ASKED_FOR = ("user", "text", "say")
# The machine may be busy with other tests.
PATIENCE_SECONDS = 120


class Page:
    """What a person does with the page and sees on it."""

    def __init__(self, driver: Chrome, address: str) -> None:
        self.driver, self.address = driver, address

    def one(self, selector: str) -> WebElement:
        return self.driver.find_element(By.CSS_SELECTOR, selector)

    def all(self, selector: str) -> list[WebElement]:
        return self.driver.find_elements(By.CSS_SELECTOR, selector)

    def texts(self, selector: str) -> list[str]:
        return [found.text for found in self.all(selector)]

    def settle(self) -> None:
        """Wait until everything asked for is shown."""
        settle(self.driver)

    def open(self) -> None:
        self.driver.get("about:blank")
        self.driver.get(self.address)
        self.settle()

    def ask(self, **fields: str) -> None:
        """Type into the named fields and press Enter in the last."""
        for name, value in fields.items():
            field = self.one(f"#{name}")
            field.clear()
            field.send_keys(value)
        self.one(f"#{list(fields)[-1]}").send_keys(Keys.ENTER)
        self.settle()

    def press(self, selector: str) -> None:
        self.one(selector).click()
        self.settle()

    @property
    def items(self) -> list[str]:
        return [row.get_attribute("data-item") for row in self.all("#list > li")]

    @property
    def said(self) -> str:
        return self.one("#said").text

    @property
    def problem(self) -> str:
        return self.one("#problem").text


@dataclass(frozen=True)
class Shown:
    """A home of the page's own: some users with recommendations, and the item that has markup for a title."""

    world: World
    users: list[str]
    odd_item: str


@pytest.fixture(scope="module")
def shown(finished_world, tmp_path_factory) -> Shown:
    """A copy, for feedback, keys, a title and two more days of profiles shall trouble no other test."""
    world = finished_world.copied(tmp_path_factory.mktemp("page") / "home")
    store, last = world.scope().store, world.last
    best = store.read(CONTRACTS["recommendations"], day=last).filter(pc.field("rank") == 1).sort_by("user_id")
    odd_item = best.column("item_id")[0].as_py()
    items = store.read(CONTRACTS["items"], day=last)
    is_odd = pc.equal(items.column("item_id"), odd_item)
    _put(store, "items", items, last, title=pc.if_else(is_odd, MARKUP, items.column("title")))
    profiles = store.read(CONTRACTS["user_profiles"], day=last)
    for days_before, share in ((2, 0.25), (5, 0.5)):
        moment = pa.scalar(datetime.combine(last, datetime.min.time(), UTC) - timedelta(days=days_before - 1), pa.timestamp("us", "UTC"))
        weights = [[share * weight for weight in of] for of in profiles.column("interest_weights").to_pylist()]
        _put(
            store,
            "user_profiles",
            profiles,
            last - timedelta(days=days_before),
            interest_weights=pa.array(weights, pa.list_(pa.float64())),
            event_timestamp=pa.repeat(moment, profiles.num_rows),
        )
    return Shown(world, best.column("user_id").to_pylist(), odd_item)


def _put(store: TableStore, name: str, table: pa.Table, day, **columns) -> None:
    """Write a partition with some columns in place of a table's own."""
    for column, values in columns.items():
        table = table.set_column(table.column_names.index(column), column, values)
    store.write(CONTRACTS[name], table, day=day)


@pytest.fixture(scope="module")
def address(shown) -> Iterator[str]:
    with page_served(shown.world.environ) as address:
        yield address


@pytest.fixture(scope="module")
def driver() -> Iterator[Chrome]:
    with browser() as driver:
        yield driver


@pytest.fixture
def page(driver, address) -> Iterator[Page]:
    """The page, open. Whatever a test does there, nothing goes wrong unseen and nobody else is asked."""
    page = Page(driver, address)
    page.open()
    yield page
    assert [entry for entry in driver.get_log("browser") if entry["level"] == "SEVERE"] == []
    asked = addresses_asked(driver)
    assert any(address in url for url in asked), "the log shows what was asked"
    assert [url for url in asked if not url.startswith((f"{address}/", "data:", "about:"))] == []


def test_a_user_sees_ten_items_with_reasons_and_scores(page, shown) -> None:
    page.ask(user=shown.users[1])
    assert len(page.items) == len(set(page.items)) == 10
    assert all(page.texts("#list .title"))
    assert all(row.find_element(By.CSS_SELECTOR, ".why > div").text for row in page.all("#list > li"))
    scores = [float(text) for text in page.texts("#list .score")]
    assert scores == sorted(scores, reverse=True)
    assert page.texts("#list .rank") == [str(place) for place in range(1, 11)]
    assert page.said == "10 items, from this user's taste"
    assert page.one("#release").text.startswith(f"release {shown.world.last:%Y%m%d}-")


def test_the_profile_has_a_bar_for_each_interest(page, shown) -> None:
    profile = _profile(shown, shown.users[1])
    page.ask(user=shown.users[1])
    assert page.texts("#interests .bar span:first-child") == profile["interest_names"]
    assert page.texts("#interests .bar span:last-child") == [f"{weight:.2f}" for weight in profile["interest_weights"]]
    widths = [bar.rect["width"] for bar in page.all("#interests .bar i")]
    assert widths == pytest.approx([widths[0] * max(0.02, weight) for weight in profile["interest_weights"]], abs=1)


def test_interests_are_drawn_over_the_days_that_were_computed(page, shown) -> None:
    profile = _profile(shown, shown.users[1])
    page.ask(user=shown.users[1])
    names = profile["interest_names"][:5]
    assert page.texts("#history li span:first-of-type") == names
    assert page.texts("#history li .soft") == [f"{weight / 2:.2f} → {weight:.2f}" for weight in profile["interest_weights"][:5]]
    lines = page.all("#history polyline")
    assert len(lines) == len(names)
    points = [tuple(map(float, point.split(","))) for point in lines[0].get_attribute("points").split(" ")]
    left, middle, right = (x for x, _ in points)
    assert (middle - left) / (right - left) == pytest.approx(3 / 5, abs=0.01), "days apart are drawn apart"
    heights = [y for _, y in points]
    assert heights[1] > heights[0] > heights[2], "a quarter, a half and the whole of the weight"
    assert page.texts("#history svg text")[-2:] == [f"{shown.world.last - timedelta(days=5)}", f"{shown.world.last}"]


def test_somebody_alike_is_a_click_away_and_the_way_back_too(page, shown) -> None:
    page.ask(user=shown.users[1])
    before, link = page.items, page.one("#people a")
    name = link.text
    link.click()
    page.settle()
    assert (page.one("#user").get_attribute("value"), page.items != before) == (name, True)
    page.driver.back()
    page.settle()
    assert (page.one("#user").get_attribute("value"), page.items) == (shown.users[1], before)


@pytest.mark.parametrize("text", ["a warm sleeping bag", "露营 帐篷"])
def test_a_text_is_looked_for_in_any_language(page, text) -> None:
    popular = page.items
    page.ask(text=text)
    assert page.said == "10 items, for the text"
    assert page.items != popular
    assert all(page.texts("#list .why"))
    assert page.one("#interests").text == "Of a user: name one above."


def test_chinese_is_marked_as_such(page) -> None:
    page.ask(text="露营 帐篷")
    titles = page.all("#list .title")
    assert any(title.get_attribute("lang") == "zh" for title in titles)
    for title in titles:
        assert (title.get_attribute("lang") == "zh") == any("一" <= letter <= "鿿" for letter in title.text)


def test_a_disliked_item_is_gone_and_stays_gone(page, shown) -> None:
    page.ask(user=shown.users[2])
    first, *others = page.items
    page.press("#list > li:first-child [data-kind=dislike]")
    assert first not in page.items
    assert len(page.items) == 10
    assert set(page.items) - set(others), "another took its place"
    assert page.said.startswith("Disliked “")
    page.open()
    page.ask(user=shown.users[2])
    assert first not in page.items


def test_a_liked_item_moves_the_scores_of_the_others(page, shown) -> None:
    page.ask(user=shown.users[3])
    before = dict(zip(page.items, page.texts("#list .score"), strict=True))
    liked = page.items[0]
    page.press("#list > li:first-child [data-kind=like]")
    after = dict(zip(page.items, page.texts("#list .score"), strict=True))
    assert liked not in after
    assert any(after[item] != before[item] for item in set(after) & set(before))


def test_a_guest_likes_too_and_only_here(page) -> None:
    popular = page.items
    page.press("#list > li:first-child [data-kind=like]")
    assert popular[0] not in page.items
    assert "from what was liked just now" in page.said
    hidden = page.items[0]
    page.press("#list > li:first-child [data-kind=dislike]")
    assert hidden not in page.items
    page.press("#again")
    assert page.items == popular


def test_a_turn_says_what_was_understood(page, shown) -> None:
    page.ask(user=shown.users[4])
    before, second = page.items, page.texts("#list .title")[1]
    page.ask(say="more like the second, not the first")
    assert set(page.texts("#said .chip")) == {f"more of item “{second}”", f"less of item “{_title(shown, before[0])}”"}
    assert page.items != before
    assert before[0] not in page.items
    assert page.one("#say").get_attribute("value") == ""
    page.press("#again")
    assert page.items == before


def test_more_adds_what_was_not_shown(page, shown) -> None:
    page.ask(user=shown.users[5])
    first = page.items
    page.press("#more")
    assert page.items[:10] == first
    assert len(set(page.items)) == 20
    assert page.texts("#list .rank")[-1] == "20"
    while page.one("#more").is_displayed():
        page.press("#more")
    assert len(page.items) == len(set(page.items)) > 100, "the whole catalogue, once"


def test_somebody_unknown_is_offered_what_is_popular(page) -> None:
    popular = page.items
    page.ask(user="nobody/../<i>&?#露")
    assert page.items == popular
    assert page.said == "10 items, popular with everybody"
    assert page.texts("#interests, #history, #people") == ["Nobody we know yet.", "No named interests yet.", "Nobody yet."]
    assert page.problem == ""


def test_markup_is_shown_and_not_run(page, shown) -> None:
    page.ask(user=shown.users[0])
    assert shown.odd_item == page.items[0]
    assert page.one("#list .title").text == MARKUP
    page.ask(say="<img src=x onerror=\"document.title='taken over'\"> lanterns")
    assert any("<img src=x" in chip for chip in page.texts("#said .chip"))
    assert page.all("#list script, #list b, #said img") == []
    assert page.driver.title == "Interest Graph"


def test_markup_would_not_run_if_it_got_in(page) -> None:
    """The policy stands behind: even a script that found its way in does not run."""
    page.driver.execute_script(
        "const made = document.createElement('script'); made.textContent = \"document.title = 'taken over'\"; document.body.append(made)"
    )
    assert page.driver.title == "Interest Graph"
    refused = [entry["message"] for entry in page.driver.get_log("browser")]
    assert any("Content Security Policy" in message for message in refused)


def test_the_keyboard_is_enough(page, shown) -> None:
    page.ask(user=shown.users[6])
    button = page.one("#list > li:nth-child(3) [data-kind=dislike]")
    button.send_keys(Keys.ENTER)
    page.settle()
    focused = page.driver.switch_to.active_element
    assert focused.get_attribute("data-kind") == "dislike"
    assert focused.get_attribute("aria-label") == f"Dislike: {page.texts('#list .title')[2]}"
    page.one("#more").send_keys(Keys.ENTER)
    page.settle()
    assert page.driver.switch_to.active_element.get_attribute("data-item") == page.items[10]


def test_everything_has_a_name_and_changes_are_told(page, shown) -> None:
    page.ask(user=shown.users[1])
    assert {name: page.one(f"#{name}").accessible_name for name in ASKED_FOR} == {"user": "User", "text": "Text", "say": "Refine"}
    assert all(button.accessible_name for button in page.all("button") if button.is_displayed())
    assert page.one("#said").aria_role == "status"
    assert page.one("#problem").aria_role == "alert"
    assert page.one("#history svg").accessible_name.startswith("Weights of the strongest interests")


@pytest.mark.parametrize("width", [390, 320])
def test_a_phone_shows_all_of_it(page, shown, width) -> None:
    resize(page.driver, width=width, height=844)
    try:
        page.ask(user=shown.users[0])
        assert page.driver.execute_script("return document.documentElement.scrollWidth") == width
        for found in page.all("input, #list button, #more, #history svg"):
            assert found.rect["x"] >= 0
            assert found.rect["x"] + found.rect["width"] <= width
    finally:
        resize(page.driver, width=1200, height=900)


def test_what_cannot_be_answered_is_told_in_the_service_s_words(page, shown, driver) -> None:
    page.driver.execute_script("document.getElementById('say').removeAttribute('maxlength')")
    page.driver.execute_script("document.getElementById('say').value = 'x'.repeat(2001)")
    before = page.items
    page.one("#say").send_keys(Keys.ENTER)
    page.settle()
    assert "2000" in page.problem
    assert page.items == before
    assert [entry["level"] for entry in driver.get_log("browser")] == ["SEVERE"], "the browser notes the refusal, and nothing else"


def test_keys_are_asked_for_and_kept_for_the_visit(page, shown, driver) -> None:
    """The last test here: from the first key on nobody is answered without one."""
    made = create_key(shown.world.scope().home.access, name="page", scopes=("read",), now=datetime.now(UTC))
    driver.get("about:blank")
    driver.get(page.address)
    wait = WebDriverWait(driver, PATIENCE_SECONDS, poll_frequency=0.05)
    wait.until(lambda _: page.one("#door").is_displayed())
    assert page.one("#wanted").text == "This service asks for an API key."
    assert page.one("#key").get_attribute("type") == "password"
    page.one("#key").send_keys("ig_wrong", Keys.ENTER)
    wait.until(lambda _: "unknown, revoked or expired" in page.one("#wanted").text)
    page.one("#leave").click()
    page.settle()
    assert page.problem == "Nothing is shown without an API key."
    page.one("#user").send_keys(shown.users[0], Keys.ENTER)
    wait.until(lambda _: page.one("#door").is_displayed())
    page.one("#key").send_keys(made.text, Keys.ENTER)
    page.settle()
    assert (len(page.items), page.problem, page.one("#door").is_displayed()) == (10, "", False)
    assert page.texts("#interests .bar")
    page.press("#list > li:first-child [data-kind=like]")
    assert "needs a key with scope feedback" in page.problem
    driver.refresh()
    page.settle()
    assert (len(page.items), page.one("#door").is_displayed()) == (10, False)
    refused = [entry["message"] for entry in driver.get_log("browser") if entry["level"] == "SEVERE"]
    assert all("401" in message or "403" in message for message in refused)
    assert made.text not in driver.current_url


def _profile(shown: Shown, user: str) -> dict:
    table = shown.world.scope().store.read(CONTRACTS["user_profiles"], day=shown.world.last)
    return table.filter(pc.equal(table.column("user_id"), user)).to_pylist()[0]


def _title(shown: Shown, item: str) -> str:
    table = shown.world.scope().store.read(CONTRACTS["items"], day=shown.world.last)
    return table.filter(pc.equal(table.column("item_id"), item)).column("title")[0].as_py()
