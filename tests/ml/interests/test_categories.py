"""Every level of a category is a name, told apart where two branches share it."""

import pyarrow as pa

from ml.interests.categories import category_levels


def levels(*categories: str | None) -> list[list[str]]:
    return category_levels(pa.chunked_array([list(categories)], pa.string())).to_pylist()


def test_each_level_by_its_own_name() -> None:
    assert levels("Sports > Running >Shoes", "Sports>Running", "Books") == [
        ["Sports", "Running", "Shoes"],
        ["Sports", "Running"],
        ["Books"],
    ]


def test_a_name_in_two_branches_is_shown_with_its_path() -> None:
    assert levels("Men > Shoes", "Women > shoes > Boots") == [["Men", "Men > Shoes"], ["Women", "Women > shoes", "Boots"]]


def test_chinese_levels_and_none() -> None:
    assert levels("户外 > 登山鞋", None, "  ") == [["户外", "登山鞋"], [""], [""]]
    assert levels() == []
