"""What a hybrid learns on the validation slice: its pool, whether a ranker pays, and the scale of its scores.

Models come fitted on what was known before the slice. Shapes: V validation users, B batch, N candidates each, I items,
K models, S readings, P candidate pairs.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import scipy.sparse as sp

from ml.calibration import platt_scale
from ml.config.pipeline import HybridConfig
from ml.ids import BoolArray, FloatArray, IntArray
from ml.models.histories import Histories
from ml.models.hybrid.affinities import NAMES, Affinities
from ml.models.hybrid.answers import candidate_pairs, log_lift, ranked_lift
from ml.models.hybrid.choices import Choices, Stage
from ml.models.hybrid.padding import Floats, padded
from ml.models.hybrid.pool import Opinion, pool_weights, pooled, sharpest
from ml.models.hybrid.ranker import Pairs, Ranker, grow, trees_worth_growing
from ml.models.hybrid.readings import Reading, Scale
from ml.models.hybrid.tuning import Setting, Shown, best_setting
from ml.models.validation import Validation

Scores = Callable[[IntArray], Mapping[str, FloatArray]]

BLOCK_SIZE = 256
LEAST_SLOPE = 0.05
# Flatter than a model says, as it says, sharper.
SHARPNESSES = (0.5, 0.75, 1.0, 1.5)
# Users that weights are tuned on at most: a step looks at the candidates of each.
TUNED_USERS = 4000
AS_IT_SAYS = SHARPNESSES.index(1.0)
POOL, RANKER = "pool", "ranker"


@dataclass(frozen=True)
class Slice:
    """The validation slice and the fitted models' answers to it: `scores(user_index)` by model, in the order of `scales`."""

    validation: Validation
    scores: Scores
    scales: Mapping[str, Scale]
    units: Mapping[str, float]
    histories: Histories

    def blocks(self) -> Iterator[tuple[IntArray, Mapping[str, FloatArray], sp.csr_array, sp.csr_array]]:
        """Users, models' scores, what they had met and what they came to like, a block at a time."""
        for start in range(0, len(self.validation), BLOCK_SIZE):
            user_index = self.validation.user_index[start : start + BLOCK_SIZE]
            yield user_index, self.scores(user_index), self.validation.seen_UI[user_index], self.validation.relevant_UI[user_index]


@dataclass(frozen=True)
class Candidates:
    """The likelihood pool's candidates of every validation user: who, whether liked, each reading's evidence, what else is known.

    `mass_VKS` is the evidence that each reading has over every item the user has not met.
    """

    user_P: IntArray
    is_liked_P: BoolArray
    evidence_PKS: FloatArray
    affinities_PF: FloatArray
    mass_VKS: FloatArray
    num_likes_V: IntArray
    num_items: int

    def shown(self) -> Shown:
        """The same by user, padded."""
        num_users = len(self.num_likes_V)
        evidence_VNKS = padded(self.evidence_PKS, self.user_P, num_users=num_users, fill=0.0)
        return Shown(evidence_VNKS, padded(self.is_liked_P, self.user_P, num_users=num_users, fill=False), self.num_likes_V)


def choose_all(found: Slice, *, affinities: Affinities, config: HybridConfig, seed: int) -> Choices:
    """The pool, the ranker if it pays, the scale; each stage's figures are kept with them."""
    if not len(found.validation):
        return Choices(equal_opinions(found.scales))
    readings, start = _likeliest(found)
    candidates = _candidates(found, readings=readings, start=start, affinities=affinities, config=config)
    opinions, stages = _tuned(candidates.shown(), readings=readings, start=start, k=config.list_length)
    chosen = Choices(opinions, stages=tuple(stages))
    if config.max_trees:
        pairs = _pairs(candidates, opinions=opinions)
        ranker, stage = _ranker(pairs, names=("pool", *opinions, *NAMES), config=config, seed=seed)
        chosen = replace(chosen, ranker=ranker, stages=(*stages, stage))
    slope, intercept = _scale(found, choices=chosen, affinities=affinities, config=config, seed=seed)
    return replace(chosen, slope=slope, intercept=intercept)


def equal_opinions(scales: Mapping[str, Scale]) -> dict[str, Opinion]:
    """What a hybrid starts from: every model as it says, all counting the same."""
    return {name: Opinion(Reading(scale), 1.0 / max(len(scales), 1)) for name, scale in scales.items()}


def _readings(scale: Scale, *, unit: float) -> tuple[Reading, ...]:
    """Every way to read a model: relatively, then, of weights, as they are."""
    relative = [Reading(scale, sharpness) for sharpness in SHARPNESSES]
    as_they_are = [Reading(scale, sharpness, is_relative=False, unit=unit) for sharpness in SHARPNESSES]
    return (*relative, *(as_they_are if scale == "weight" else relative))


def _likeliest(found: Slice) -> tuple[dict[str, tuple[Reading, ...]], Setting]:
    """Each model's readings, and where tuning starts: relative readings and weights by the likelihood of the new likes.

    Every user counts the same.
    """
    pieces: dict[str, list[Floats]] = {name: [] for name in found.scales}
    importance: list[Floats] = []
    for _, scores, met_BI, liked_BI in found.blocks():
        like = liked_BI.nonzero()
        importance.append(1.0 / np.diff(liked_BI.indptr)[like[0]])
        for name, scale in found.scales.items():
            relative = [Reading(scale, sharpness).evidence(scores[name], met_BI=met_BI)[like] for sharpness in SHARPNESSES]
            pieces[name].append(np.stack(relative, axis=1).astype(np.float64))
    importance_E, num_items = np.concatenate(importance), found.validation.relevant_UI.shape[1]
    by_model = {name: np.concatenate(parts) for name, parts in pieces.items()}
    place = {name: sharpest(found_ES, importance_E=importance_E, num_items=num_items) for name, found_ES in by_model.items()}
    likelihood_EK = np.stack([by_model[name][:, place[name]] for name in by_model], axis=1)
    weight_K = pool_weights(likelihood_EK, importance_E=importance_E, num_items=num_items)
    readings = {name: _readings(scale, unit=found.units[name]) for name, scale in found.scales.items()}
    return readings, Setting(tuple(weight_K.tolist()), tuple(place.values()))


def _opinions(readings: Mapping[str, Sequence[Reading]], setting: Setting) -> dict[str, Opinion]:
    settings = zip(readings.items(), setting.weight_K, setting.reading_K, strict=True)
    return {name: Opinion(of_model[place], weight) for (name, of_model), weight, place in settings}


def _candidates(
    found: Slice, *, readings: Mapping[str, Sequence[Reading]], start: Setting, affinities: Affinities, config: HybridConfig
) -> Candidates:
    opinions = _opinions(readings, start)
    parts: list[tuple[IntArray, BoolArray, FloatArray, FloatArray, FloatArray]] = []
    num_done = 0
    for user_index, scores, met_BI, liked_BI in found.blocks():
        lift_BI = log_lift(pooled(scores, opinions=opinions, met_BI=met_BI), num_items=met_BI.shape[1])
        row_P, item_P = pairs = candidate_pairs(lift_BI, met_BI=met_BI, num_candidates=config.num_candidates)
        by_model = [_by_reading(scores[name], readings=of_model, met_BI=met_BI, pairs=pairs) for name, of_model in readings.items()]
        evidence_PKS, mass_BKS = (np.stack(part, axis=1) for part in zip(*by_model, strict=True))
        is_liked_P = np.asarray(liked_BI[row_P, item_P] != 0).reshape(-1)
        known_PF = np.zeros((len(row_P), 0), dtype=np.float32)
        if config.max_trees:
            known_PF = affinities.features(found.histories.take(user_index), row_P=row_P, item_P=item_P)
        parts.append((row_P + num_done, is_liked_P, evidence_PKS, known_PF, mass_BKS))
        num_done += len(user_index)
    user_P, is_liked_P, evidence_PKS, known_PF, mass_VKS = (np.concatenate(part) for part in zip(*parts, strict=True))
    relevant_VI = found.validation.relevant_UI[found.validation.user_index]
    num_likes_V = np.diff(relevant_VI.indptr).astype(np.int64)
    return Candidates(user_P, is_liked_P, evidence_PKS, known_PF, mass_VKS, num_likes_V, num_items=relevant_VI.shape[1])


def _by_reading(
    scores_BI: FloatArray, *, readings: Sequence[Reading], met_BI: sp.csr_array, pairs: tuple[IntArray, IntArray]
) -> tuple[FloatArray, FloatArray]:
    """One model's evidence under every reading, for the pairs [P, S] and for all that each user has not met [B, S]."""
    found = [_of_pairs_and_all(reading.evidence(scores_BI, met_BI=met_BI), pairs) for reading in readings]
    evidence_PS, mass_BS = (np.stack(part, axis=1) for part in zip(*found, strict=True))
    return evidence_PS, mass_BS


def _of_pairs_and_all(evidence_BI: FloatArray, pairs: tuple[IntArray, IntArray]) -> tuple[FloatArray, FloatArray]:
    return evidence_BI[pairs], evidence_BI.sum(axis=1)


def _tuned(shown: Shown, *, readings: Mapping[str, Sequence[Reading]], start: Setting, k: int) -> tuple[dict[str, Opinion], list[Stage]]:
    """The pool that orders best, and the stages so far: every model alone, then the pool against the best of them."""
    every = -(-len(shown.num_likes_V) // TUNED_USERS)
    shown = shown.of(np.arange(len(shown.num_likes_V)) % every == 0)
    reached, ndcg_V = best_setting(shown, start, others=[_as_they_are(shown, start)], k=k)
    alone = {name: shown.ndcg(shown.evidence_VNKS[:, :, place, AS_IT_SAYS], k=k) for place, name in enumerate(readings)}
    best = max(alone, key=lambda name: float(alone[name].mean()))
    stages = [
        _stage(name, alone_V, lead_V=alone_V - alone[best], is_kept=weight > 0)
        for (name, alone_V), weight in zip(alone.items(), reached.weight_K, strict=True)
    ]
    return _opinions(readings, reached), [*stages, _stage(POOL, ndcg_V, lead_V=ndcg_V - alone[best], is_kept=True)]


def _as_they_are(shown: Shown, start: Setting) -> Setting:
    """The same pool on average, with every model read as it says."""
    place = len(SHARPNESSES) + AS_IT_SAYS
    mass_K = shown.evidence_VNKS[..., place].sum(axis=1, dtype=np.float64).mean(axis=0)
    weight_K = np.array(start.weight_K) / np.where(mass_K > 0, mass_K, 1.0)
    return Setting(tuple((weight_K / weight_K.sum()).tolist()), (place,) * len(weight_K))


def _pairs(candidates: Candidates, *, opinions: Mapping[str, Opinion]) -> Pairs:
    """The candidates for the ranker, under settled opinions: the pool's log-lift, every model's own, what else is known."""
    model_K, place_K = np.arange(len(opinions)), np.array([_place(opinion.reading) for opinion in opinions.values()])
    weight_K = np.array([opinion.weight for opinion in opinions.values()], dtype=np.float32)
    evidence_PK = np.ascontiguousarray(candidates.evidence_PKS[:, model_K, place_K])
    # A row per model: numpy adds whole rows, in their order.
    mass_V = (weight_K * candidates.mass_VKS[:, model_K, place_K]).T.copy().sum(axis=0)
    probability_P = (evidence_PK @ weight_K) / np.maximum(mass_V, np.finfo(np.float32).tiny)[candidates.user_P]
    lift_P = log_lift(probability_P.astype(np.float32), num_items=candidates.num_items)
    own_PK = log_lift(evidence_PK, num_items=candidates.num_items)
    features_PF = np.concatenate([lift_P[:, None], own_PK, candidates.affinities_PF], axis=1)
    return Pairs(candidates.user_P, candidates.is_liked_P, lift_P, features_PF, candidates.num_likes_V)


def _place(reading: Reading) -> int:
    return SHARPNESSES.index(reading.sharpness) + (0 if reading.is_relative else len(SHARPNESSES))


def _ranker(pairs: Pairs, *, names: tuple[str, ...], config: HybridConfig, seed: int) -> tuple[Ranker | None, Stage]:
    """As many trees as order held-out users better than the pool, None where that is none; and the stage's figures."""
    num_trees, ndcg_V, lead_V = trees_worth_growing(pairs, config=config, seed=seed)
    ranker = grow(pairs, names=names, num_trees=num_trees, config=config, seed=seed) if num_trees else None
    return ranker, _stage(RANKER, ndcg_V, lead_V=lead_V, is_kept=ranker is not None)


def _stage(name: str, ndcg_V: Floats, *, lead_V: Floats, is_kept: bool) -> Stage:
    standard_error = float(lead_V.std(ddof=1) / np.sqrt(len(lead_V))) if len(lead_V) > 1 else 0.0
    return Stage(name, float(ndcg_V.mean()), float(lead_V.mean()), standard_error, is_kept)


def _scale(found: Slice, *, choices: Choices, affinities: Affinities, config: HybridConfig, seed: int) -> tuple[float, float]:
    """Slope and intercept that tell each new like from one random item the user had not met."""
    rng = np.random.default_rng(seed)
    margins, is_liked = [np.zeros(0)], [np.zeros(0, dtype=bool)]
    for user_index, scores, met_BI, liked_BI in found.blocks():
        lift_BI = ranked_lift(
            scores,
            choices=choices,
            affinities=affinities,
            histories=found.histories.take(user_index),
            met_BI=met_BI,
            num_candidates=config.num_candidates,
        )
        row_E, item_E = liked_BI.nonzero()
        random_E = rng.integers(lift_BI.shape[1], size=len(row_E))
        is_unmet_E = np.asarray((met_BI + liked_BI)[row_E, random_E] == 0).reshape(-1)
        margins += [lift_BI[row_E, item_E], lift_BI[row_E, random_E][is_unmet_E]]
        is_liked += [np.ones(len(row_E), dtype=bool), np.zeros(int(is_unmet_E.sum()), dtype=bool)]
    margin_N, is_liked_N = np.concatenate(margins).astype(np.float64), np.concatenate(is_liked)
    slope, intercept = platt_scale(margin_N, is_positive_N=is_liked_N) if is_liked_N.any() and not is_liked_N.all() else (1.0, 0.0)
    # Scores must rise with the lift, whatever a handful of likes says.
    return max(slope, LEAST_SLOPE), intercept
