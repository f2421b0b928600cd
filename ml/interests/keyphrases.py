"""Which phrases of the texts become interest points, and how strongly items carry them.

A phrase must say something (inverse document frequency), be said often enough, and
mean something: the items that use it must be more alike than any two items are. What a
longer phrase says more exactly goes.
Shapes: I items, P phrases, D dimension.
"""

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import scipy.sparse as sp

from ml.config.pipeline import InterestConfig
from ml.ids import BoolArray, FloatArray, IntArray
from ml.interests.candidates import Candidates, candidates, num_carriers
from ml.interests.phrases import Phrases
from ml.interests.weights import point_vectors, specificity

# A longer phrase that covers this share of a phrase's items says the same more exactly.
REDUNDANT_SHARE = 0.8
# Where vectors know nothing of a catalogue, frequency alone still ranks.
MIN_COHERENCE = 0.02
# Pseudo-items that pull the coherence of rare phrases towards none.
COHERENCE_SHRINKAGE = 8.0
BLOCK = 8192


def choose_keyphrases(phrases: Phrases, *, vectors_ID: FloatArray, has_point_I: BoolArray, config: InterestConfig) -> Candidates:
    """The best phrases as candidates, at most `max_keyphrases`, and per item its best `max_keyphrases_per_item`.

    Score of a phrase in an item: log1p(count) x specificity x coherence squared x cosine of the item and the mean of
    the phrase's items (c-TF-IDF of Grootendorst, arXiv 2203.05794, with items as classes, and meaning). An item's are
    chosen one after the other, each as unlike those before as `keyphrase_diversity` asks. Items of
    `has_point_I` false come first: a phrase that is their only hold is kept on all its items, even beyond the limit per item.
    """
    score_IP = score_phrases(phrases, vectors_ID=vectors_ID)
    redundant_P = phrases.contained_share_P >= REDUNDANT_SHARE
    rank_P = _rank(score_IP, redundant_P=redundant_P)
    chosen_P = _choose(score_IP, rank_P=rank_P, redundant_P=redundant_P, has_point_I=has_point_I, limit=config.max_keyphrases)
    means_PD = _centred_means(sp.csr_array(phrases.counts_NP[:, chosen_P]), vectors_ID=vectors_ID)
    kept_IP = _limit_per_item(score_IP[:, chosen_P], rank_P=rank_P[chosen_P], means_PD=means_PD, has_point_I=has_point_I, config=config)
    used = np.flatnonzero(num_carriers(kept_IP))
    index = pa.array(chosen_P[used])
    strength = _divide_rows(kept_IP[:, used], _row_maxima(kept_IP)).sqrt() * config.keyphrase_weight
    kinds = pa.repeat(pa.scalar("keyphrase"), len(used))
    return candidates(kinds, phrases.keys.take(index), phrases.names.take(index), sp.csr_array(strength))


def score_phrases(phrases: Phrases, *, vectors_ID: FloatArray) -> sp.csr_array:
    """Scores above 0 of each phrase in each item, shape [I, P]."""
    num_items_P = num_carriers(phrases.counts_NP)
    meaning_P = np.maximum(coherence(phrases.counts_NP, vectors_ID=vectors_ID), MIN_COHERENCE) ** 2
    score_P = specificity(num_items_P, num_items=phrases.counts_NP.shape[0]) * meaning_P
    scores = sp.coo_array(phrases.counts_NP.log1p() @ sp.diags_array(score_P))
    relevance = _relevance(scores.row, scores.col, counts_IP=phrases.counts_NP, vectors_ID=vectors_ID)
    return sp.csr_array((scores.data * relevance, (scores.row, scores.col)), shape=scores.shape)


def _relevance(item_O: IntArray, phrase_O: IntArray, *, counts_IP: sp.csr_array, vectors_ID: FloatArray) -> npt.NDArray[np.float64]:
    """Cosine of an item's vector and the mean of those of a phrase's items, at least `MIN_COHERENCE`, shape [occurrences]."""
    means_PD = point_vectors(sp.csr_array(counts_IP.astype(bool).astype(np.float64)), vectors_ID=vectors_ID)
    cosine_O = np.zeros(len(item_O))
    for start in range(0, len(item_O), BLOCK):
        block = slice(start, start + BLOCK)
        cosine_O[block] = (vectors_ID[item_O[block]] * means_PD[phrase_O[block]]).sum(axis=1, dtype=np.float64)
    return np.maximum(cosine_O, MIN_COHERENCE)


def coherence(counts_IP: sp.csr_array, *, vectors_ID: FloatArray) -> npt.NDArray[np.float64]:
    """How much more alike a phrase's items are than any items: 0 not at all, 1 the same, shape [P].

    Mean cosine of its pairs of items less that of all pairs, over what that leaves to 1,
    shrunk for few items. Needs unit vectors; pairs are summed by |sum of vectors|^2.
    """
    carried_IP = sp.csc_array(counts_IP.astype(bool).astype(np.float32))
    num_items_P = np.diff(carried_IP.indptr).astype(np.float64)
    squared_P = np.zeros(carried_IP.shape[1])
    for start in range(0, carried_IP.shape[1], BLOCK):
        sums = carried_IP[:, start : start + BLOCK].T @ vectors_ID
        squared_P[start : start + BLOCK] = np.square(sums, dtype=np.float64).sum(axis=1)
    whole = np.square(vectors_ID.sum(axis=0, dtype=np.float64)).sum()
    everywhere = float(_mean_pair_cosine(np.array([whole]), np.array([len(vectors_ID)], dtype=np.float64))[0])
    lift_P = (_mean_pair_cosine(squared_P, num_items_P) - everywhere) / max(1.0 - everywhere, 1e-6)
    shrunk_P: npt.NDArray[np.float64] = np.clip(lift_P, 0, 1) * num_items_P / (num_items_P + COHERENCE_SHRINKAGE)
    return shrunk_P


def _mean_pair_cosine(squared: npt.NDArray[np.float64], count: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    return (squared - count) / np.maximum(count * (count - 1), 1)


def _rank(score_IP: sp.csr_array, *, redundant_P: BoolArray) -> IntArray:
    """Position of each phrase by its summed share of its items' scores, redundant ones last, shape [P]."""
    shares = _divide_rows(score_IP, np.asarray(score_IP.sum(axis=1)))
    # Rounded, so that the order of summation never decides between equals; then the phrase's key does.
    total_P = np.round(np.asarray(shares.sum(axis=0)), 9)
    order = np.lexsort((np.arange(len(total_P)), -total_P, redundant_P))
    rank = np.empty_like(order)
    rank[order] = np.arange(len(order))
    return rank


def _choose(score_IP: sp.csr_array, *, rank_P: IntArray, redundant_P: BoolArray, has_point_I: BoolArray, limit: int) -> IntArray:
    """Phrases that items without a point need most, then the best ranked; positions in order, at most `limit`.

    A redundant phrase stays only where it is such an item's best.
    """
    best = _best_ranked(score_IP, rank_P=rank_P, wanted_I=~has_point_I)
    needed_P = np.bincount(best, minlength=score_IP.shape[1])
    order = np.lexsort((rank_P, -needed_P))
    return np.sort(order[~redundant_P[order] | (needed_P[order] > 0)][:limit])


def _centred_means(counts_IP: sp.csr_array, *, vectors_ID: FloatArray) -> FloatArray:
    """Unit vectors of what a phrase's items have that the catalogue has not, shape [P, D]: all texts of a catalogue are somewhat alike."""
    means_PD = point_vectors(sp.csr_array(counts_IP.astype(bool).astype(np.float64)), vectors_ID=vectors_ID)
    centred_PD = means_PD - vectors_ID.mean(axis=0, dtype=np.float64)
    length_P1 = np.linalg.norm(centred_PD, axis=1, keepdims=True)
    return np.asarray(centred_PD / np.maximum(length_P1, 1e-9), dtype=np.float32)


def _limit_per_item(
    score_IP: sp.csr_array, *, rank_P: IntArray, means_PD: FloatArray, has_point_I: BoolArray, config: InterestConfig
) -> sp.csr_array:
    pairs = score_IP.tocoo()
    top = most_telling(pairs, rank_P=rank_P, means_PD=means_PD, limit=config.max_keyphrases_per_item, diversity=config.keyphrase_diversity)
    enough_P = np.bincount(pairs.col[top], minlength=score_IP.shape[1]) >= config.min_items
    kept = np.zeros(len(pairs.data), dtype=np.bool_)
    kept[top] = enough_P[pairs.col[top]]
    stranded_I = ~has_point_I & (np.bincount(pairs.row[kept], minlength=score_IP.shape[0]) == 0)
    rescued = _best_ranked(score_IP, rank_P=rank_P, wanted_I=stranded_I)
    kept |= np.isin(pairs.col, rescued)
    return sp.csr_array((pairs.data[kept], (pairs.row[kept], pairs.col[kept])), shape=score_IP.shape)


def most_telling(pairs: sp.coo_array, *, rank_P: IntArray, means_PD: FloatArray, limit: int, diversity: float) -> IntArray:
    """Positions among `pairs` of each item's best `limit` phrases by maximal marginal relevance, ties by rank.

    Each next one has the largest (1 - `diversity`) x share of the item's best score - `diversity` x cosine to the nearest
    one chosen before (Carbonell & Goldstein, SIGIR 1998); 0 takes them by score alone.
    """
    item_O, phrase_O = pairs.row, pairs.col
    share_O = pairs.data / _row_maxima(sp.csr_array(pairs))[item_O]
    nearest_O = np.zeros(len(share_O))
    left = np.arange(len(share_O))
    chosen = [left[:0]]
    last_I = np.zeros(pairs.shape[0], dtype=np.int64)
    for _ in range(limit):
        gain = np.round((1 - diversity) * share_O[left] - diversity * nearest_O[left], 9)
        order = left[np.lexsort((rank_P[phrase_O[left]], -gain, item_O[left]))]
        best = order[np.flatnonzero(np.diff(item_O[order], prepend=-1))]
        chosen.append(best)
        left = np.setdiff1d(left, best, assume_unique=True)
        last_I[item_O[best]] = phrase_O[best]
        if diversity:
            cosine = _cosines(means_PD, phrase_O[left], last_I[item_O[left]])
            nearest_O[left] = np.maximum(nearest_O[left], cosine)
    return np.concatenate(chosen)


def _cosines(vectors_PD: FloatArray, left_O: IntArray, right_O: IntArray) -> npt.NDArray[np.float64]:
    cosine_O = np.zeros(len(left_O))
    for start in range(0, len(left_O), BLOCK):
        block = slice(start, start + BLOCK)
        cosine_O[block] = (vectors_PD[left_O[block]] * vectors_PD[right_O[block]]).sum(axis=1, dtype=np.float64)
    return cosine_O


def _best_ranked(score_IP: sp.csr_array, *, rank_P: IntArray, wanted_I: BoolArray) -> IntArray:
    """The best ranked phrase of each wanted item that has any."""
    items = np.flatnonzero(wanted_I & (np.diff(score_IP.indptr) > 0))
    if not len(items):
        return np.zeros(0, dtype=np.int64)
    rows = score_IP[items]
    best_rank = np.minimum.reduceat(rank_P[rows.indices], rows.indptr[:-1])
    return np.argsort(rank_P)[best_rank]


def _row_maxima(matrix: sp.csr_array) -> npt.NDArray[np.float64]:
    return np.asarray(matrix.max(axis=1).toarray(), dtype=np.float64).reshape(-1) if matrix.shape[1] else np.zeros(matrix.shape[0])


def _divide_rows(matrix: sp.csr_array, divisor: npt.NDArray[np.float64]) -> sp.csr_array:
    return sp.csr_array(sp.diags_array(1.0 / np.where(divisor > 0, divisor, 1.0)) @ matrix)
