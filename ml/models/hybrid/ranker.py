"""The last stage: gradient-boosted trees that correct the pool's order of its own best candidates.

Burges, "From RankNet to LambdaRank to LambdaMART", Microsoft Research TR 2010-82, by LightGBM (Ke et al., NeurIPS 2017).
Trees start from the pool's log-lift, so none is the pool itself, and a tree that teaches nothing about held-out users
is not grown. Shapes: P candidate pairs in order of user, F features, V users.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import lightgbm as lgb
import numpy as np
import numpy.typing as npt

from ml.config.pipeline import HybridConfig
from ml.ids import BoolArray, FloatArray, IntArray
from ml.models.hybrid.padding import Floats, ndcg, padded

_FOLDS = 4
# What a tree is shown of a single pair, a share of it rounded down, is nothing, which LightGBM refuses.
_FEWEST_PAIRS = 2


@dataclass(frozen=True)
class Pairs:
    """Candidates of users: who (ascending), whether liked, the pool's log-lift, what is known, and each user's likes in all [V]."""

    user_P: IntArray
    is_liked_P: BoolArray
    lift_P: FloatArray
    features_PF: FloatArray
    num_likes_V: IntArray

    def of(self, chosen_V: BoolArray) -> "Pairs":
        """Those of some users, who keep their numbers."""
        kept_P = chosen_V[self.user_P]
        return Pairs(self.user_P[kept_P], self.is_liked_P[kept_P], self.lift_P[kept_P], self.features_PF[kept_P], self.num_likes_V)

    def ndcg(self, margin_P: npt.NDArray[np.floating], *, k: int) -> Floats:
        """NDCG@k of every user, candidates in order of the margin, 0 for users without candidates, shape [V]."""
        num_users = len(self.num_likes_V)
        margin_VN = padded(margin_P, self.user_P, num_users=num_users, fill=-np.inf)
        is_liked_VN = padded(self.is_liked_P, self.user_P, num_users=num_users, fill=False)
        return ndcg(margin_VN, is_liked_VN=is_liked_VN, num_likes_V=self.num_likes_V, k=k)


@dataclass(frozen=True)
class Ranker:
    """Grown trees, as LightGBM writes them, and the names of what they read."""

    trees: str
    names: tuple[str, ...]

    @cached_property
    def _booster(self) -> lgb.Booster:
        # Read once: every block of users asks it.
        return lgb.Booster(model_str=self.trees)

    def correction(self, features_PF: FloatArray) -> FloatArray:
        """What is added to the pool's log-lift, shape [P]."""
        return np.asarray(self._booster.predict(features_PF, raw_score=True, num_threads=1), dtype=np.float32)

    def importance(self) -> dict[str, float]:
        """Share of the trees' gain that each feature brought, largest first."""
        gain_F = self._booster.feature_importance("gain")
        share_F = gain_F / max(gain_F.sum(), 1e-12)
        return {self.names[place]: float(share_F[place]) for place in np.argsort(-share_F, kind="stable")}


def grow(pairs: Pairs, *, names: Sequence[str], num_trees: int, config: HybridConfig, seed: int) -> Ranker:
    """A ranker of `num_trees` trees, learned from all of these."""
    booster = lgb.train(_parameters(config, seed=seed), _dataset(pairs), num_boost_round=num_trees)
    return Ranker(booster.model_to_string(), tuple(names))


def trees_worth_growing(pairs: Pairs, *, config: HybridConfig, seed: int) -> tuple[int, Floats, Floats]:
    """How many trees order held-out users best, 0 where none beats the pool beyond doubt; NDCG with the best number and its lead, [V].

    Users are dealt into four folds and each fold is ordered by trees grown on the others. How many is chosen on two of the
    folds; beyond doubt is by more than a standard error of the paired difference on the other two.
    """
    fold_V = np.random.default_rng(seed).permutation(len(pairs.num_likes_V)) % _FOLDS
    ndcg_CV = np.zeros((config.max_trees // config.tree_step + 1, len(fold_V)))
    for fold in range(_FOLDS):
        learned, held_out = pairs.of(fold_V != fold), pairs.of(fold_V == fold)
        ndcg_CV[:, fold_V == fold] = _by_size(learned, held_out=held_out, config=config, seed=seed)[:, fold_V == fold]
    lead_CV = ndcg_CV - ndcg_CV[0]
    is_choosing_V = fold_V % 2 == 0
    best = int(np.argmax(lead_CV[:, is_choosing_V].mean(axis=1))) if is_choosing_V.any() else 0
    confirming = lead_CV[best, ~is_choosing_V]
    doubt = confirming.std(ddof=1) / np.sqrt(len(confirming)) if len(confirming) > 1 else np.inf
    is_worth_it = len(confirming) > 1 and confirming.mean() > doubt
    return (best * config.tree_step if is_worth_it else 0), ndcg_CV[best], lead_CV[best]


def _by_size(learned: Pairs, *, held_out: Pairs, config: HybridConfig, seed: int) -> Floats:
    """NDCG of held-out users with none, `tree_step`, twice as many, ... trees, shape [sizes, V]."""
    sizes = range(0, config.max_trees + 1, config.tree_step)
    alone_V = held_out.ndcg(held_out.lift_P, k=config.list_length)
    if len(learned.user_P) < _FEWEST_PAIRS or not learned.is_liked_P.any() or not len(held_out.user_P) or not config.max_trees:
        return np.tile(alone_V, (len(sizes), 1))
    booster = lgb.train(_parameters(config, seed=seed), _dataset(learned), num_boost_round=config.max_trees)
    found = [alone_V]
    for size in sizes[1:]:
        correction_P = booster.predict(held_out.features_PF, raw_score=True, num_iteration=size, num_threads=1)
        found.append(held_out.ndcg(held_out.lift_P + correction_P, k=config.list_length))
    return np.stack(found)


def _dataset(pairs: Pairs) -> lgb.Dataset:
    _, group = np.unique(pairs.user_P, return_counts=True)
    return lgb.Dataset(pairs.features_PF, label=pairs.is_liked_P.astype(np.int8), group=group, init_score=pairs.lift_P.astype(np.float64))


def _parameters(config: HybridConfig, *, seed: int) -> dict[str, object]:
    return {
        "objective": "lambdarank",
        "lambdarank_truncation_level": 2 * config.list_length,
        "num_leaves": config.num_leaves,
        "learning_rate": config.tree_learning_rate,
        "min_data_in_leaf": config.min_leaf_pairs,
        "feature_fraction": 0.8,
        "bagging_fraction": 0.8,
        "bagging_freq": 1,
        "boost_from_average": False,
        "deterministic": True,
        "force_row_wise": True,
        "num_threads": 1,
        "seed": seed,
        "verbosity": -1,
    }
