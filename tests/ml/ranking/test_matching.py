"""Which names a text holds."""

import numpy as np
import pytest

from ml.ranking.matching import Points, cosines, match_interests


@pytest.mark.parametrize(
    ("name", "text", "expected"),
    [
        ("hiking", "Warm HIKING jacket", True),
        ("hiking", "hikings", False),
        ("trail running", "shoes for trail-running, please", True),
        ("trail running", "trail of running", False),
        ("登山", "适合登山的外套", True),
        ("登山", "适合爬山的外套", False),
        ("boot", "适合boot的", True),
        ("3D打印", "想买3d打印机", True),
        ("hiking", "", False),
        ("", "anything", False),
        ("!!", "anything !!", False),
    ],
)
def test_a_name_is_found_as_whole_words_or_anywhere_in_chinese(tables, name, text, expected) -> None:
    points = Points.of(tables.interest_points({"a": name}, vectors={"a": [0.0, 1.0]}))
    found = match_interests(np.array([1.0, 0.0], dtype=np.float32), text=text, points=points, limit=9)
    assert found.is_named_T.tolist() == [expected]


def test_named_points_come_before_near_ones(tables) -> None:
    points = Points.of(
        tables.interest_points(
            {"a": "near", "b": "登山", "c": "far", "d": "opposite"},
            vectors={"a": [1.0, 0.0], "b": [0.0, 1.0], "c": [0.1, 1.0], "d": [-1.0, 0.0]},
        )
    )
    matches = match_interests(np.array([1.0, 0.0], dtype=np.float32), text="登山靴", points=points, limit=9)
    assert points.names.take(matches.order).to_pylist() == ["登山", "near"]
    assert match_interests(np.array([1.0, 0.0], dtype=np.float32), text="登山靴", points=points, limit=1).order.tolist() == [1]


def test_cosine_of_a_zero_vector_is_zero() -> None:
    assert cosines(np.array([0.0, 0.0]), np.array([[1.0, 0.0], [0.0, 0.0]])).tolist() == [0.0, 0.0]
