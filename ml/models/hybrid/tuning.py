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
from ml.models.hybrid.padding import Floats, ndcg

# What a weight is multiplied by in a step; 0 leaves the model out.
FACTORS = (0.0, 0.25, 0.5, 0.75, 1.33, 2.0, 4.0)
# From which a model that was left out comes back.
_LEAST_WEIGHT = 0.01
_ROUNDS = 4
_FOLDS = 3
_LEAST_GAIN = 1e-6


@dataclass(frozen=True)
class Shown:
    """Each user's candidates, padded with ones nothing speaks for, and how many new likes the user has in all [V]."""

    evidence_VNKS: FloatArray
    is_liked_VN: BoolArray
    num_likes_V: IntArray

    def of(self, chosen_V: BoolArray) -> "Shown":
        """Some of the users."""
        return Shown(self.evidence_VNKS[chosen_V], self.is_liked_VN[chosen_V], self.num_likes_V[chosen_V])

    def pooled(self, setting: "Setting") -> FloatArray:
        """The pool's evidence for every candidate, shape [V, N]."""
        total_VN = np.zeros(self.is_liked_VN.shape, dtype=np.float32)
        for model, (weight, reading) in enumerate(zip(setting.weight_K, setting.reading_K, strict=True)):
            if weight > 0:
                total_VN += np.float32(weight) * self.evidence_VNKS[:, :, model, reading]
        return total_VN

    def ndcg(self, margin_VN: npt.NDArray[np.floating], *, k: int) -> Floats:
        """NDCG@k of every user, candidates in order of the margin, shape [V]."""
        return ndcg(margin_VN, is_liked_VN=self.is_liked_VN, num_likes_V=self.num_likes_V, k=k)


@dataclass(frozen=True)
class Setting:
    """Weights and places in the list of readings, a pair per model."""

    weight_K: tuple[float, ...]
    reading_K: tuple[int, ...]

    def steps(self, model: int, *, num_readings: int) -> Iterator["Setting"]:
        """Every setting in which this one model counts or reads differently, the others as they are."""
        usual = max(self.weight_K[model], _LEAST_WEIGHT)
        for factor, reading in product((1.0, *FACTORS), range(num_readings)):
            stepped = self._with(model, weight=factor * usual, reading=reading)
            if any(stepped.weight_K) and stepped != self:
                yield stepped

    def without(self, model: int) -> "Setting":
        """The same with one model left out."""
        return self._with(model, weight=0.0, reading=self.reading_K[model])

    def normalised(self) -> "Setting":
        """The same order with weights of sum 1."""
        total = sum(self.weight_K)
        return Setting(tuple(weight / total for weight in self.weight_K), self.reading_K)

    def _with(self, model: int, *, weight: float, reading: int) -> "Setting":
        weight_K, reading_K = list(self.weight_K), list(self.reading_K)
        weight_K[model], reading_K[model] = weight, reading
        return Setting(tuple(weight_K), tuple(reading_K))


def best_setting(shown: Shown, start: Setting, *, others: Sequence[Setting] = (), k: int) -> tuple[Setting, Floats]:
    """The best setting that coordinate ascent on NDCG@k reaches from `start` or one of `others`, and every user's NDCG [V].

    It is taken only if it leads `start` by more than a standard error of the paired difference on users it was not climbed
    on, dealt into folds; else `start` stays: a handful of users has many settings that suit it. The figures returned are
    those of held-out users.
    """
    start_V = shown.ndcg(shown.pooled(start), k=k)
    starts = (start, *others)
    fold_V = np.arange(len(start_V)) % _FOLDS
    held_out_V = start_V.copy()
    for fold in range(min(_FOLDS, len(start_V)) if len(start_V) > 1 else 0):
        reached = _highest(shown.of(fold_V != fold), starts, k=k)
        asked = shown.of(fold_V == fold)
        held_out_V[fold_V == fold] = asked.ndcg(asked.pooled(reached), k=k)
    lead_V = held_out_V - start_V
    doubt = lead_V.std(ddof=1) / np.sqrt(len(lead_V)) if len(lead_V) > 1 else np.inf
    return (_highest(shown, starts, k=k), held_out_V) if lead_V.mean() > doubt else (start, start_V)


def _highest(shown: Shown, starts: Sequence[Setting], *, k: int) -> Setting:
    """Where the highest of several climbs ends: readings taken together lie beyond what single steps reach."""
    reached = [_ascend(shown, start, k=k) for start in starts]
    return max(reached, key=lambda setting: float(shown.ndcg(shown.pooled(setting), k=k).mean()))


def _ascend(shown: Shown, start: Setting, *, k: int) -> Setting:
    best, best_figure = start, float(shown.ndcg(shown.pooled(start), k=k).mean())
    for _ in range(_ROUNDS):
        before = best_figure
        for model in range(len(start.weight_K)):
            # What the other models say stays while one is stepped.
            others_VN = shown.pooled(best.without(model))
            for stepped in best.steps(model, num_readings=shown.evidence_VNKS.shape[3]):
                own_VN = np.float32(stepped.weight_K[model]) * shown.evidence_VNKS[:, :, model, stepped.reading_K[model]]
                figure = float(shown.ndcg(others_VN + own_VN, k=k).mean())
                if figure > best_figure + _LEAST_GAIN:
                    best, best_figure = stepped, figure
        if best_figure <= before + _LEAST_GAIN:
            break
    return best.normalised()
