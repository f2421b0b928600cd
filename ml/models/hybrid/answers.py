"""From the pool's probabilities to one score in [-1, 1], the ranker's corrections in between.

Shapes: B batch of users, I items, P pairs.
"""

from collections.abc import Mapping

import numpy as np
import scipy.sparse as sp

from ml.ids import FloatArray, IntArray
from ml.models.histories import Histories
from ml.models.hybrid.affinities import Affinities
from ml.models.hybrid.choices import Choices
from ml.models.hybrid.pool import UNIFORM_SHARE, pooled
from ml.models.hybrid.readings import pairs_of

# The log-lift of an item for which no model says anything, and a hair more.
_NOTHING_SAID = np.log(UNIFORM_SHARE) + 1e-5


def log_lift(probability: FloatArray, *, num_items: int) -> FloatArray:
    """Log of how many times likelier than by chance, a small uniform share mixed in so that none is impossible; any shape."""
    lift = np.log(np.float32((1 - UNIFORM_SHARE) * num_items) * probability + np.float32(UNIFORM_SHARE))
    return np.asarray(lift, dtype=np.float32)


def candidate_pairs(lift_BI: FloatArray, *, met_BI: sp.csr_array, num_candidates: int) -> tuple[IntArray, IntArray]:
    """Rows and items of each user's `num_candidates` items of largest lift that they have not met, ascending by row, each shape [P].

    Items for which no model says anything are no candidates.
    """
    kept = min(num_candidates, lift_BI.shape[1])
    cost_BI = -lift_BI
    cost_BI[pairs_of(met_BI)] = np.inf
    item_BN = np.sort(np.argpartition(cost_BI, kept - 1, axis=1)[:, :kept], axis=1) if kept else np.zeros((len(cost_BI), 0), dtype=np.int64)
    row_P, item_P = np.repeat(np.arange(len(item_BN)), kept), item_BN.reshape(-1).astype(np.int64)
    is_found_P = -cost_BI[row_P, item_P] > _NOTHING_SAID
    return row_P[is_found_P], item_P[is_found_P]


def pair_features(
    scores: Mapping[str, FloatArray],
    *,
    choices: Choices,
    affinities: Affinities,
    histories: Histories,
    met_BI: sp.csr_array,
    lift_BI: FloatArray,
    pairs: tuple[IntArray, IntArray],
) -> FloatArray:
    """The ranker's columns: the pool's log-lift, every model's evidence likewise, then `affinities.NAMES`, shape [P, F]."""
    row_P, item_P = pairs
    columns = [lift_BI[row_P, item_P]]
    for name, opinion in choices.opinions.items():
        evidence_BI = opinion.reading.evidence(scores[name], met_BI=met_BI)
        columns.append(log_lift(evidence_BI[row_P, item_P], num_items=lift_BI.shape[1]))
    known_PF = affinities.features(histories, row_P=row_P, item_P=item_P)
    return np.concatenate([np.stack(columns, axis=1), known_PF], axis=1)


def ranked_lift(
    scores: Mapping[str, FloatArray],
    *,
    choices: Choices,
    affinities: Affinities,
    histories: Histories,
    met_BI: sp.csr_array,
    num_candidates: int,
    asked: IntArray | slice = slice(None),
) -> FloatArray:
    """The pool's log-lift, that of its best candidates corrected by the ranker where there is one, of the items `asked`, shape [B, K]."""
    probability_BI = pooled(scores, opinions=choices.opinions, met_BI=met_BI)
    if choices.ranker is None or not len(probability_BI):
        return log_lift(probability_BI[:, asked], num_items=met_BI.shape[1])
    lift_BI = log_lift(probability_BI, num_items=met_BI.shape[1])
    pairs = candidate_pairs(lift_BI, met_BI=met_BI, num_candidates=num_candidates)
    features_PF = pair_features(
        scores, choices=choices, affinities=affinities, histories=histories, met_BI=met_BI, lift_BI=lift_BI, pairs=pairs
    )
    lift_BI[pairs] += choices.ranker.correction(features_PF)
    return lift_BI[:, asked]


def calibrated(lift_BI: FloatArray, *, choices: Choices) -> FloatArray:
    """In [-1, 1], rising with the lift: twice the probability that it is a liked item's and not a random one's, minus 1."""
    return np.tanh((np.float32(choices.slope) * lift_BI + np.float32(choices.intercept)) / 2)
