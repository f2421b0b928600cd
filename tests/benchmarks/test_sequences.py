"""The table of sequence models: who is asked, what is summed, what items are."""

import gzip
import json
from pathlib import Path

import numpy as np
import pytest
import scipy.sparse as sp

from benchmarks import sequences
from benchmarks.published.items import read_attributes, read_item_vectors
from benchmarks.published.questions import rehearsal
from benchmarks.published.readers import read_split
from benchmarks.quality import RECENT, TRANSITIONS
from benchmarks.sequences import SUMS, ScoreSum, candidates, others
from ml.ids import IntArray


class Fixed:
    """Scores given once and for all."""

    def __init__(self, scores_UI: list[list[float]]) -> None:
        self.scores_UI = np.array(scores_UI, dtype=np.float32)

    def score(self, user_index: IntArray) -> np.ndarray:
        return self.scores_UI[user_index]


def test_a_sum_is_by_weight_over_scale_and_leaves_its_models_alone() -> None:
    left, right = Fixed([[1.0, 2.0]]), Fixed([[10.0, -10.0]])
    total = ScoreSum({"left": left, "right": right}, {"left": 2.0, "right": 1.0}, {"left": 0.5, "right": 10.0})
    for _ in range(2):
        np.testing.assert_allclose(total.score(np.array([0])), [[5.0, 7.0]])


def test_every_sequence_split_has_settings_and_a_sum() -> None:
    assert set(TRANSITIONS) == set(RECENT) == set(SUMS)


@pytest.mark.parametrize("name", TRANSITIONS)
def test_what_is_summed_is_measured(name: str) -> None:
    split = read_split(name)
    if split is None:
        pytest.skip(f"{name} is not on this machine: set INTEREST_GRAPH_DATA to the folder that holds it")
    question = rehearsal(split, rng=np.random.default_rng(0))
    if name != "amazon-scientific-text":
        labels = {label for label, _, _ in candidates(name, inputs=question.inputs)}
        assert set(SUMS[name]) <= labels
    asked = others(question)
    assert len(asked.user_index) == len(question.user_index) - sequences.CHOICE_USERS
    assert set(asked.user_index) <= set(question.user_index)
    assert asked.age_UI is not None


def test_attributes_are_unit_vectors_and_rare_ones_count_more(tmp_path: Path) -> None:
    found = {"1": [0, 2], "2": [0], "3": [0, 2], "4": [1, 0]}
    (tmp_path / "item2attributes.json.gz").write_bytes(gzip.compress(json.dumps(found).encode()))
    vectors_ID = read_attributes(tmp_path)
    # Attribute 0 is of every item and says nothing, so item 1 has nothing to say.
    np.testing.assert_allclose(vectors_ID, [[0, 0, 1], [0, 0, 0], [0, 0, 1], [0, 1, 0]])
    assert vectors_ID.dtype == np.float32


def test_a_split_without_descriptions_has_none() -> None:
    assert read_item_vectors("gowalla-lightgcn") is None


def test_vectors_are_of_the_items_of_the_split() -> None:
    split, vectors_ID = read_split("s3rec-beauty"), read_item_vectors("s3rec-beauty")
    if split is None or vectors_ID is None:
        pytest.skip("s3rec-beauty is not on this machine: set INTEREST_GRAPH_DATA to the folder that holds it")
    assert len(vectors_ID) == split.train_UI.shape[1]
    assert sp.csr_array(vectors_ID).nnz > len(vectors_ID)
