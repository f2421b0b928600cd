"""An unknown id is masked or raises; it is never position 0."""

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ml.errors import UnknownIdError
from ml.ids import UserIdBorder, Vocabulary


@given(st.lists(st.text(max_size=5), max_size=30))
def test_positions_and_take_are_inverse(ids: list[str]) -> None:
    vocabulary = Vocabulary("item", ids)
    assert vocabulary.ids.to_pylist() == sorted(set(ids), key=lambda text: text.encode())
    assert vocabulary.take(vocabulary.positions(ids)).to_pylist() == ids


@settings(max_examples=20, deadline=None)
@given(st.lists(st.text(max_size=3), max_size=5), st.sets(st.text(max_size=3), max_size=30))
def test_a_few_ids_are_found_as_many_are(asked: list[str], ids: set[str]) -> None:
    wanted = [*asked, *sorted(ids)[:2], None]
    vocabulary = Vocabulary("item", [*ids, *(f"id{number}" for number in range(2000))])
    assert len(wanted) * 200 < len(vocabulary), "few enough to be searched for one by one"
    few, known = vocabulary.find(wanted)
    # Repeated until a hash of the whole vocabulary is cheaper.
    many, many_known = vocabulary.find(wanted * 2000)
    assert few.tolist() == many[: len(wanted)].tolist()
    assert known.tolist() == many_known[: len(wanted)].tolist()
    assert [vocabulary.ids[place].as_py() for place in few[known]] == [one for one, is_known in zip(wanted, known, strict=True) if is_known]


def test_unknown_ids_are_masked_or_raise() -> None:
    vocabulary = Vocabulary("user", pa.chunked_array([["b"], ["a", "b"]]))
    positions, known = vocabulary.find(["z", "a", None])
    assert positions.tolist() == [-1, 0, -1]
    assert known.tolist() == [False, True, False]
    with pytest.raises(UnknownIdError, match="unknown user: 'z'"):
        vocabulary.positions(["a", "z"])


def test_many_unknown_ids_are_counted_not_listed() -> None:
    with pytest.raises(UnknownIdError, match="and 3 more"):
        Vocabulary("user", []).positions([str(number) for number in range(8)])


def test_vocabulary_knows_membership_length_and_equality() -> None:
    vocabulary = Vocabulary("item", ["b", "a", "a"])
    assert len(vocabulary) == 2
    assert "a" in vocabulary
    assert "z" not in vocabulary
    assert vocabulary == Vocabulary("item", ["a", "b"])
    assert vocabulary != Vocabulary("user", ["a", "b"])
    assert np.array_equal(vocabulary.positions(["b"]), [1])


def test_border_is_its_own_inverse() -> None:
    border = UserIdBorder("shop")
    assert border.outward(border.inward("用户1")) == "用户1"
