"""Twins are found whoever wrote them, from the moment the second is there; short and different texts have none."""

import numpy as np
import pyarrow as pa

from ml.reviews.duplicates import twin_moments

NEVER = np.iinfo(np.int64).max
SPAM = "Amazing product best quality fast shipping five stars {} buy now you will not regret."
OTHER = "The neck arrived bent and the seller answered none of my letters for a month."
CHINESE = "超级好用质量最好发货最快五星好评{}赶紧下单绝对不后悔。"


def moments(
    texts: list[str | None], *, at: list[int] | None = None, author: list[int] | None = None, item: list[int] | None = None
) -> list[int]:
    rows = list(range(len(texts)))
    found = twin_moments(
        pa.array(texts, pa.string()),
        at_N=np.array(at or rows),
        author_N=np.array(author or rows),
        item_N=np.array(item or rows),
        likeness=0.7,
    )
    return found.tolist()


def test_near_duplicates_are_twins_in_both_languages() -> None:
    found = moments([SPAM.format("friends"), OTHER, SPAM.format("guys"), CHINESE.format("大家"), CHINESE.format("亲们")])
    assert found == [2, NEVER, 2, 4, 4]


def test_before_the_second_copy_the_first_is_known_as_no_twin() -> None:
    assert moments([SPAM, SPAM, SPAM], at=[30, 10, 20]) == [30, 20, 20]


def test_a_correction_is_no_twin_but_the_same_words_on_another_item_are() -> None:
    assert moments([SPAM, SPAM], author=[1, 1], item=[1, 1]) == [NEVER, NEVER]
    assert moments([SPAM, SPAM], author=[1, 1], item=[1, 2]) == [1, 1]


def test_short_empty_and_missing_texts_have_no_twin() -> None:
    assert moments(["great", "great", "", "", None, None, "很好", "很好"]) == [NEVER] * 8


def test_no_text_at_all() -> None:
    assert moments([]) == []


def test_the_order_of_rows_does_not_show() -> None:
    texts = [SPAM.format("friends"), OTHER, SPAM.format("guys"), SPAM.format("again")]
    order = [2, 0, 3, 1]
    shuffled = moments([texts[row] for row in order], at=order, author=order, item=order)
    assert [shuffled[order.index(row)] for row in range(4)] == moments(texts)
