"""Transitions keep the recommender contract and know what follows what."""

from dataclasses import replace

import numpy as np
import pytest
import scipy.sparse as sp
from hypothesis import given, settings
from hypothesis import strategies as st

from ml.models.ease import EASE
from ml.models.histories import Histories, Recency
from ml.models.inputs import ModelInputs
from ml.models.item_knn import ItemKNN
from ml.models.recommender import Recommender
from ml.models.spectral_filter import SpectralFilter
from ml.models.transitions import Transitions
from tests.ml.models.recommender_contract import RecommenderContract, everyone
from tests.ml.models.worlds import awkward_world, make_inputs

RNG = np.random.default_rng(0)


class TestTransitions(RecommenderContract):
    def build(self) -> Transitions:
        return Transitions()


class TestTransitionsOneWay(RecommenderContract):
    """Tastes are told apart by likes of both directions: an item may come last in all histories."""

    is_personal = True

    def build(self) -> Transitions:
        return Transitions(recency=None, backward=0.1, gap_half_life_days=2.0, shrinkage=0.0)


class TestItemKNNWithRecency(RecommenderContract):
    def build(self) -> ItemKNN:
        return ItemKNN(recency=Recency(2.0))


class TestEASEWithRecency(RecommenderContract):
    def build(self) -> EASE:
        return EASE(regularization=1.0, recency=Recency(2.0, "days"))


class TestSpectralFilterWithRecency(RecommenderContract):
    def build(self) -> SpectralFilter:
        return SpectralFilter(recency=Recency(2.0))


def aged(age_UI: list[list[float]] | np.ndarray) -> ModelInputs:
    """Likes where an age is above 0."""
    age_UI = np.asarray(age_UI, dtype=np.float32)
    return replace(make_inputs((age_UI > 0) * 1.0), age_UI=sp.csr_array(age_UI))


def ages_of(sequences: list[str], *, items: str) -> np.ndarray:
    """Days of likes named by letters, oldest first, a day apart."""
    age_UI = np.zeros((len(sequences), len(items)))
    for user, sequence in enumerate(sequences):
        for ago, letter in enumerate(reversed(sequence), start=1):
            age_UI[user, items.index(letter)] = ago
    return age_UI


def fitted(age_UI: list[list[float]] | np.ndarray, **arguments: object) -> Transitions:
    return Transitions(**arguments).fit(aged(age_UI), rng=RNG)


def next_of(model: Transitions, letter: str, *, items: str) -> list[str]:
    """What follows a single like, best first."""
    scores_I = model.fold_in(aged(ages_of([letter], items=items)).histories)[0]
    return [items[item] for item in np.argsort(-scores_I, kind="stable") if scores_I[item] > 0]


CYCLE = ["ABC", "BCA", "CAB"]


def test_a_cycle_is_followed_forward() -> None:
    model = fitted(ages_of(CYCLE, items="ABC"), backward=0.3, gap_power=1.0)
    assert next_of(model, "A", items="ABC") == ["B", "C"]
    assert next_of(model, "B", items="ABC") == ["C", "A"]
    assert next_of(model, "C", items="ABC") == ["A", "B"]


def test_the_reversed_order_is_followed_in_reverse() -> None:
    model = fitted(ages_of([sequence[::-1] for sequence in CYCLE], items="ABC"), backward=0.3, gap_power=1.0)
    assert next_of(model, "A", items="ABC") == ["C", "B"]
    assert next_of(model, "C", items="ABC") == ["B", "A"]


def test_without_a_way_back_only_what_came_after_follows() -> None:
    model = fitted(ages_of(["ABC", "ABC"], items="ABC"), backward=0.0)
    assert next_of(model, "A", items="ABC") == ["B", "C"]
    assert next_of(model, "B", items="ABC") == ["C"]
    assert next_of(model, "C", items="ABC") == []


def test_a_world_worked_out_by_hand() -> None:
    # User 0 liked A, B, C in this order, ten days apart; user 1 A and then C, twenty days apart.
    age_UI = np.array([[21.0, 11.0, 1.0], [21.0, 0.0, 1.0]])
    model = fitted(age_UI, recency=None, backward=0.5, gap_power=1.0, gap_half_life_days=10.0, shrinkage=1.0)
    ab, bc = 0.5, 0.5
    ac = 0.25 / 2 + 0.25
    scale_ab, scale_bc, scale_ac = np.sqrt(2) + 1, np.sqrt(2) + 1, 2 + 1
    expected = [
        [0.5 * ab / scale_ab + 0.5 * ac / scale_ac, ab / scale_ab + 0.5 * bc / scale_bc, ac / scale_ac + bc / scale_bc],
        [0.5 * ac / scale_ac, ab / scale_ab + 0.5 * bc / scale_bc, ac / scale_ac],
    ]
    np.testing.assert_allclose(model.score(np.arange(2)), expected, rtol=1e-6)


def test_likes_of_one_instant_have_no_order() -> None:
    one_way = fitted([[3.0, 3.0, 3.0], [9.0, 9.0, 0.0]], recency=None, backward=0.0, shrinkage=0.0)._next_II.toarray()
    np.testing.assert_allclose(one_way, one_way.T)
    np.testing.assert_allclose(one_way[0, 1], (0.5 + 0.5) / 2)
    # An order between instants remains: A and B at once, then C.
    model = fitted([[4.0, 4.0, 1.0]] * 3, backward=0.0)
    assert next_of(model, "A", items="ABC") == ["C", "B"]
    assert next_of(model, "C", items="ABC") == []


def test_the_order_of_items_does_not_leak_through_ties() -> None:
    age_UI = np.random.default_rng(8).integers(0, 4, (40, 7)).astype(float)
    order = np.random.default_rng(9).permutation(7)
    moved_UI = fitted(age_UI[:, order]).score(np.arange(40))
    np.testing.assert_allclose(moved_UI, fitted(age_UI).score(np.arange(40))[:, order], rtol=1e-5, atol=1e-7)


def test_without_ages_it_is_an_unordered_item_knn() -> None:
    inputs = replace(make_inputs(np.random.default_rng(3).random((40, 9)) < 0.4), age_UI=None)
    knn_UI = ItemKNN(num_neighbors=9, shrinkage=5.0).fit(inputs, rng=RNG).score(np.arange(40))
    unordered = Transitions(num_neighbors=9, shrinkage=5.0, backward=1.0).fit(inputs, rng=RNG)
    np.testing.assert_allclose(unordered.score(np.arange(40)), knn_UI, rtol=1e-5)
    at_once = Transitions(num_neighbors=9, shrinkage=5.0, backward=1.0).fit(aged((inputs.positives_UI.toarray() > 0) * 7.0), rng=RNG)
    np.testing.assert_allclose(at_once.score(np.arange(40)), knn_UI, rtol=1e-5)


def test_ages_of_fold_in_are_read_though_none_were_known_at_fit() -> None:
    inputs = replace(make_inputs(np.ones((3, 4))), age_UI=None)
    model = Transitions(recency=Recency(1.0)).fit(inputs, rng=RNG)
    newest_first = model.fold_in(aged([[1.0, 2.0, 0.0, 0.0]]).histories)
    unordered = model.fold_in(Histories(sp.csr_array(np.array([[1.0, 1.0, 0.0, 0.0]], dtype=np.float32))))
    np.testing.assert_allclose(newest_first[0, 2], unordered[0, 2] * 0.75, rtol=1e-6)


def naive_next(age_UI: np.ndarray, *, backward: float, gap_power: float, shrinkage: float) -> np.ndarray:
    num_items = age_UI.shape[1]
    forward_II = np.zeros((num_items, num_items))
    for row in age_UI:
        liked = np.flatnonzero(row)
        for old in liked:
            for new in liked:
                ago_old, ago_new = (1 + sum(0 < other < row[item] for other in row) for item in (old, new))
                if old != new and row[old] >= row[new]:
                    share = 1.0 if row[old] > row[new] else 0.5
                    forward_II[old, new] += share * max(ago_old - ago_new, 1) ** -gap_power
    likes_I = (age_UI > 0).sum(axis=0)
    scale_II = np.sqrt(np.outer(likes_I, likes_I)) + shrinkage
    return (forward_II + backward * forward_II.T) / np.where(scale_II > 0, scale_II, 1.0)


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 10_000), st.integers(1, 9), st.integers(1, 8), st.sampled_from([0.0, 0.4, 1.0]))
def test_transitions_equal_a_naive_count(seed: int, num_users: int, num_items: int, backward: float) -> None:
    age_UI = np.random.default_rng(seed).integers(0, 6, (num_users, num_items)).astype(float)
    model = fitted(age_UI, backward=backward, gap_power=0.5, shrinkage=1.0)
    expected = naive_next(age_UI, backward=backward, gap_power=0.5, shrinkage=1.0)
    np.testing.assert_allclose(model._next_II.toarray(), expected, rtol=1e-5, atol=1e-7)


def test_pairs_further_apart_than_the_window_are_not_counted() -> None:
    model = fitted(ages_of(["ABCD"], items="ABCD"), backward=0.0, window=2)
    assert next_of(model, "A", items="ABCD") == ["B", "C"]


def test_the_strongest_are_kept_and_equal_ones_by_position() -> None:
    model = fitted(ages_of(["AD", "AC", "AB", "AD"], items="ABCD"), backward=0.0, num_neighbors=2, shrinkage=10.0)
    assert next_of(model, "A", items="ABCD") == ["D", "B"]


def test_the_last_like_counts_most() -> None:
    age_UI = ages_of(["AX", "AX", "BY", "BY"], items="ABXY")
    model = fitted(age_UI, recency=Recency(1.0))
    for sequence, expected in (("AB", "Y"), ("BA", "X")):
        scores_I = model.fold_in(aged(ages_of([sequence], items="ABXY")).histories)[0]
        assert "ABXY"[int(scores_I.argmax())] == expected


def test_who_is_not_credible_teaches_less() -> None:
    inputs = aged(ages_of(["AB", "AC"], items="ABC"))
    model = Transitions(shrinkage=0.0).fit(replace(inputs, credibility_U=np.array([1.0, 0.01], dtype=np.float32)), rng=RNG)
    assert next_of(model, "A", items="ABC") == ["B", "C"]
    model = Transitions(shrinkage=0.0).fit(replace(inputs, credibility_U=np.array([0.01, 1.0], dtype=np.float32)), rng=RNG)
    assert next_of(model, "A", items="ABC") == ["C", "B"]


@pytest.mark.parametrize(
    "build",
    [
        lambda recency: ItemKNN(shrinkage=0.0, recency=recency),
        lambda recency: EASE(regularization=1.0, recency=recency),
        lambda recency: SpectralFilter(recency=recency),
    ],
    ids=["item_knn", "ease", "spectral_filter"],
)
def test_recency_is_the_score_of_weighted_likes(build) -> None:
    """Linear models, so the score of A and B is the sum of the scores of each, by weight."""
    liked_UI = np.random.default_rng(6).random((30, 6)) < 0.5
    inputs = make_inputs(liked_UI)
    plain: Recommender = build(None).fit(inputs, rng=np.random.default_rng(1))
    recent: Recommender = build(Recency(1.0)).fit(inputs, rng=np.random.default_rng(1))
    alone_AI, alone_BI = (plain.fold_in(aged(ages_of([letter], items="ABCDEF")).histories) for letter in "AB")
    both_I = recent.fold_in(aged(ages_of(["AB"], items="ABCDEF")).histories)
    np.testing.assert_allclose(both_I, 0.5 * alone_AI + alone_BI, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("arguments", [{"num_neighbors": 0}, {"window": 0}, {"shrinkage": -1.0}, {"backward": -0.1}, {"gap_power": -1.0}])
def test_settings_without_meaning_are_refused(arguments: dict[str, float]) -> None:
    with pytest.raises(ValueError, match="at least"):
        Transitions(**arguments)


def test_a_gap_half_life_of_nothing_is_refused() -> None:
    with pytest.raises(ValueError, match="gap_half_life_days"):
        Transitions(gap_half_life_days=0.0)


def test_blocks_of_items_give_what_all_at_once_do(monkeypatch) -> None:
    inputs = awkward_world()
    whole = Transitions().fit(inputs, rng=np.random.default_rng(1)).score(everyone(inputs))
    unordered = Transitions().fit(replace(inputs, age_UI=None), rng=np.random.default_rng(1)).score(everyone(inputs))
    monkeypatch.setattr("ml.models.transitions._BLOCK_PAIRS", 7)
    np.testing.assert_allclose(Transitions().fit(inputs, rng=np.random.default_rng(1)).score(everyone(inputs)), whole, rtol=1e-6)
    again = Transitions().fit(replace(inputs, age_UI=None), rng=np.random.default_rng(1)).score(everyone(inputs))
    np.testing.assert_allclose(again, unordered, rtol=1e-6)


def test_likes_that_are_all_of_one_instant_are_as_likes_without_ages() -> None:
    inputs = make_inputs(np.ones((3, 70)))
    tied = replace(inputs, age_UI=sp.csr_array(np.ones((3, 70), dtype=np.float32)))
    scores = [
        Transitions(recency=None).fit(found, rng=np.random.default_rng(1)).score(everyone(inputs))
        for found in (tied, replace(inputs, age_UI=None))
    ]
    np.testing.assert_array_equal(*scores)
