"""What there is to learn: who liked what predicts better than popularity, and better than the tags do."""

from datetime import timedelta

import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp

DEPTH = 10
WEIGHTS = {"view": 1.0, "cart": 2.0, "purchase": 4.0}


@pytest.fixture(scope="module")
def split(sample) -> tuple[sp.csr_array, sp.csr_array]:
    """Users x items before the last quiet week, and what they met for the first time in it."""
    events = sample.events[sample.events["kind"].isin(list(WEIGHTS))]
    start = sample.shift_day - timedelta(days=7)
    before = matrix(sample, events[events["day"] < start])
    within = matrix(sample, events[(events["day"] >= start) & (events["day"] < sample.shift_day)])
    return before, sp.csr_array(within > 0) - sp.csr_array(within > 0).multiply(before > 0)


def matrix(sample, events: pd.DataFrame) -> sp.csr_array:
    users = np.searchsorted(sample.truth.user_ids, events["user_id"])
    items = np.searchsorted(sample.items["sku"], events["item_id"])
    weights = events["kind"].map(WEIGHTS)
    return sp.csr_array((weights, (users, items)), shape=(len(sample.truth.user_ids), len(sample.items)))


def ndcg(scores_UI: np.ndarray, split: tuple[sp.csr_array, sp.csr_array]) -> float:
    """Mean NDCG@10 over users who met something new, seen items excluded."""
    before, new = split
    scores_UI = np.where(before.toarray() > 0, -np.inf, scores_UI)
    relevant_UI = new.toarray() > 0
    users = np.flatnonzero(relevant_UI.any(axis=1) & (before.sum(axis=1) > 0))
    top_UK = np.argsort(-scores_UI[users], axis=1, kind="stable")[:, :DEPTH]
    discount_K = 1 / np.log2(np.arange(2, DEPTH + 2))
    gained = (relevant_UI[users[:, None], top_UK] * discount_K).sum(axis=1)
    ideal = np.array([discount_K[: min(DEPTH, count)].sum() for count in relevant_UI[users].sum(axis=1)])
    return float((gained / ideal).mean())


def popularity(before: sp.csr_array) -> np.ndarray:
    return np.tile((before > 0).sum(axis=0), (before.shape[0], 1)).astype(float)


def item_knn(before: sp.csr_array) -> np.ndarray:
    """Cosine of item columns, shrunk, summed over what a user met."""
    logged = sp.csr_array((np.log1p(before.data), before.indices, before.indptr), shape=before.shape)
    products = (logged.T @ logged).toarray()
    norms = np.sqrt(np.diag(products))
    similar = products / (np.outer(norms, norms) + 10)
    np.fill_diagonal(similar, 0)
    return logged @ similar


def tag_profile(sample, before: sp.csr_array) -> np.ndarray:
    """Cosine-like match of the user's summed tags with the item's, by inverse document frequency."""
    tags = sample.items["labels"].explode().dropna()
    names, column = np.unique(tags, return_inverse=True)
    carried = sp.csr_array((np.ones(len(tags)), (tags.index, column)), shape=(len(sample.items), len(names)))
    carried = carried @ sp.diags_array(np.log(len(sample.items) / (1 + carried.sum(axis=0))))
    lengths = np.sqrt(carried.multiply(carried).sum(axis=1))
    carried = sp.diags_array(1 / np.maximum(lengths, 1e-9)) @ carried
    return (before @ carried @ carried.T).toarray()


def test_like_minded_people_predict_better_than_popularity_and_than_tags(sample, split):
    before, _ = split
    by_popularity = ndcg(popularity(before), split)
    by_tags = ndcg(tag_profile(sample, before), split)
    by_neighbours = ndcg(item_knn(before), split)
    assert by_tags > 2 * by_popularity
    # Tags say much, but not who else likes the brand, the style, the circle.
    assert by_neighbours > 1.15 * by_tags


def test_neighbours_add_to_what_the_tags_know(sample, split):
    before, _ = split
    by_tags, by_neighbours = (scores / scores.std() for scores in (tag_profile(sample, before), item_knn(before)))
    assert ndcg(by_tags + by_neighbours, split) > 1.1 * ndcg(by_tags, split)


def tastes(sample, who: str, kind: str) -> pd.DataFrame:
    rows = pd.read_csv(sample.directory / "truth" / f"{who}_tastes.csv")
    return rows[rows["kind"] == kind]


@pytest.mark.parametrize(("kind", "lift"), [("style", 1.5), ("brand", 1.5), ("circle", 1.6)])
def test_hidden_taste_multiplies_what_the_tags_explain(sample, split, kind, lift):
    """Among items with the same main theme as one the user met, those to the user's taste are met more often."""
    before, new = split
    themes = pd.read_csv(sample.directory / "truth" / "item_themes.csv").sort_values("weight", ascending=False, kind="stable")
    leading = themes.drop_duplicates("item_id").set_index("item_id")["theme"].reindex(sample.items["sku"])
    theme = pd.get_dummies(leading).to_numpy(dtype=float)
    is_on_theme = (before @ theme) @ theme.T > 0
    users, items = (tastes(sample, who, kind) for who in ("user", "item"))
    names = sorted(set(items["name"]))
    user_has = pd.crosstab(users["user_id"], users["name"]).reindex(index=sample.truth.user_ids, columns=names, fill_value=0)
    item_has = pd.crosstab(items["item_id"], items["name"]).reindex(index=sample.items["sku"], columns=names, fill_value=0)
    is_to_taste = user_has.to_numpy() @ item_has.to_numpy().T > 0
    met = new.toarray() > 0
    assert met[is_on_theme & is_to_taste].mean() > lift * met[is_on_theme & ~is_to_taste].mean()
