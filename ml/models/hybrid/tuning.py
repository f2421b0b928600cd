"""The pool's last step: reading and weight of every model, for the order of each user's candidates.

Metzler & Croft, "Linear feature-based models for information retrieval", Information Retrieval 10(3), 2007: one
coordinate at a time, by the figure that counts. Shapes: V users, N candidates each, K models, S readings.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import product

import numpy as np
import numpy.typing as npt

from ml.ids import BoolArray, FloatArray, IntArray

Floats = npt.NDArray[np.float64]

# What a weight is multiplied by in a step; 0 leaves the model out.
FACTORS = (0.0, 0.25, 0.5, 0.75, 1.33, 2.0, 4.0)
# From which a model that was left out comes back.
_LEAST_WEIGHT = 0.01
_ROUNDS = 4
_LEAST_GAIN = 1e-6


@dataclass(frozen=True)
class Shown:
    """Each user's candidates, padded with ones nothing speaks for, and how many new likes the user has in all [V]."""

    evidence_VNKS: FloatArray
    is_liked_VN: BoolArray
    num_likes_V: IntArray

    def pooled(self, setting: "Setting") -> FloatArray:
        """The pool's evidence for every candidate, shape [V, N]."""
        total_VN = np.zeros(self.is_liked_VN.shape, dtype=np.float32)
        for model, (weight, reading) in enumerate(zip(setting.weight_K, setting.reading_K, strict=True)):
            if weight > 0:
                total_VN += np.float32(weight) * self.evidence_VNKS[:, :, model, reading]
        return total_VN

    def ndcg(self, margin_VN: npt.NDArray[np.floating], *, k: int) -> Floats:
        """NDCG@k of every user, candidates in order of the margin, shape [V]."""
        width = min(k, margin_VN.shape[1])
        if not width:
            return np.zeros(len(margin_VN))
        cost_VN = -margin_VN
        chosen_VK = np.sort(np.argpartition(cost_VN, width - 1, axis=1)[:, :width], axis=1)
        order_VK = np.argsort(np.take_along_axis(cost_VN, chosen_VK, axis=1), axis=1, kind="stable")
        discount_K = 1.0 / np.log2(np.arange(k) + 2.0)
        is_liked_VK = np.take_along_axis(self.is_liked_VN, np.take_along_axis(chosen_VK, order_VK, axis=1), axis=1)
        found_V = is_liked_VK @ discount_K[:width]
        return np.asarray(found_V / np.cumsum(discount_K)[np.clip(self.num_likes_V, 1, k) - 1], dtype=np.float64)


@dataclass(frozen=True)
class Setting:
    """Weights of sum 1 and places in the list of readings, a pair per model."""

    weight_K: tuple[float, ...]
    reading_K: tuple[int, ...]

    def steps(self, model: int, *, num_readings: int) -> Iterator["Setting"]:
        """Every setting in which this one model counts or reads differently."""
        for factor, reading in product((1.0, *FACTORS), range(num_readings)):
            stepped = self._with(model, factor=factor, reading=reading)
            if stepped is not None and stepped != self:
                yield stepped

    def _with(self, model: int, *, factor: float, reading: int) -> "Setting | None":
        weight_K = np.array(self.weight_K)
        weight_K[model] = factor * max(weight_K[model], _LEAST_WEIGHT)
        if not weight_K.sum():
            return None
        reading_K = (*self.reading_K[:model], reading, *self.reading_K[model + 1 :])
        return Setting(tuple((weight_K / weight_K.sum()).tolist()), reading_K)


def best_setting(shown: Shown, start: Setting, *, others: Sequence[Setting] = (), k: int) -> Setting:
    """The best setting that coordinate ascent on NDCG@k reaches from `start` or `others`.

    It must be better than `start` by more than a standard error of the paired difference, else `start` stays:
    a handful of users has many settings that suit it.
    """
    start_V = shown.ndcg(shown.pooled(start), k=k)
    reached = [_ascend(shown, setting, k=k) for setting in (start, *others)]
    figures = [shown.ndcg(shown.pooled(setting), k=k) for setting in reached]
    best = int(np.argmax([figures_V.mean() for figures_V in figures]))
    lead_V = figures[best] - start_V
    doubt = lead_V.std(ddof=1) / np.sqrt(len(lead_V)) if len(lead_V) > 1 else np.inf
    return reached[best] if lead_V.mean() > doubt else start


def _ascend(shown: Shown, start: Setting, *, k: int) -> Setting:
    best, best_V = start, shown.ndcg(shown.pooled(start), k=k)
    for _ in range(_ROUNDS):
        before = best_V.mean()
        for model in range(len(start.weight_K)):
            for stepped in best.steps(model, num_readings=shown.evidence_VNKS.shape[3]):
                stepped_V = shown.ndcg(shown.pooled(stepped), k=k)
                if stepped_V.mean() > best_V.mean() + _LEAST_GAIN:
                    best, best_V = stepped, stepped_V
        if best_V.mean() <= before + _LEAST_GAIN:
            break
    return best
