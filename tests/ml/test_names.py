"""Names are spelled one way, whoever wrote them."""

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ml.names import normalise_names, snake_case_names


@pytest.mark.parametrize(
    ("written", "normalised"),
    [
        ("  Trail   Running ", "trail running"),
        ("ＴＲＡＩＬ\u3000ｒｕｎｎｉｎｇ", "trail running"),
        ("Straße", "strasse"),
        ("登山　鞋", "登山 鞋"),
        ("\ufb01lm", "film"),
        ("", ""),
    ],
)
def test_normalise_names_squeezes_and_folds(written: str, normalised: str) -> None:
    assert normalise_names(pa.array([written])).to_pylist() == [normalised]


@pytest.mark.parametrize(
    ("written", "snake"),
    [("releaseYear", "release_year"), ("Release-Year", "release_year"), (" release  year ", "release_year"), ("导演", "导演"), ("--", "")],
)
def test_snake_case_names_of_every_style(written: str, snake: str) -> None:
    assert snake_case_names(pa.array([written])).to_pylist() == [snake]


@given(st.text())
def test_normalising_twice_changes_nothing(name: str) -> None:
    once = normalise_names(pa.array([name], pa.string()))
    assert normalise_names(once).equals(once)


def test_nulls_stay_null_and_chunks_are_read() -> None:
    assert normalise_names(pa.chunked_array([["A", None], ["a"]])).to_pylist() == ["a", None, "a"]
    assert normalise_names(pa.chunked_array([], pa.string())).to_pylist() == []
