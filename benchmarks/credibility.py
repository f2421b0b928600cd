"""Are planted shilling profiles found, do the weights undo what they did, and what does that cost everybody else?

Attacks (`benchmarks.attacks`) on movielens-small ratings: AUC of reviewer credibility beside deviation from the item means
(RDMA, Chirita et al., 2005), what remains of the attacked items' gain in rank with the weights on, and NDCG@10 of
data nobody attacked, with and without. Settings were chosen on seeds 3 and 4; the seeds here are others.

python -m benchmarks.credibility [--quick] [--json FILE]
"""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from sklearn.metrics import roc_auc_score

from benchmarks.attacks import KINDS, Attacked, Floats, Ints, Ratings, attack
from benchmarks.report import Options, Row, data_folder, parse_options, publish
from ml.config.pipeline import EvaluationConfig, ReviewConfig
from ml.contracts.contract import TIMESTAMP
from ml.contracts.meaning import REVIEW_SIGNALS
from ml.evaluation.harness import evaluate
from ml.evaluation.truth import held_out
from ml.graph.interest_graph import InterestGraph
from ml.ids import Vocabulary
from ml.models.inputs import ModelInputs
from ml.models.item_knn import ItemKNN
from ml.models.popularity import Popularity
from ml.reviews.reviewers import judge_reviewers
from ml.reviews.weighing import credibility_of, weigh_interactions
from ml.training.inputs import interaction_matrices

SHARES = (0.01, 0.03, 0.05)
NUM_TARGETS = (1, 5)
SEEDS = (11, 12)
# Weights do not fade, so that every profile counts in full whenever it was written.
NO_FADING_DAYS = 1e6
NUM_READERS = 60
WINDOWS = (0.5, 0.6, 0.7, 0.8, 0.9)
MIDDLE_STARS = 3.0
MODELS = (Popularity, ItemKNN)


def main(options: Options) -> None:
    """Attack with every kind and size, then measure the cost on clean data, and publish the table."""
    folder = data_folder("movielens-small-text")
    if folder is None:
        raise SystemExit("movielens-small-text is not here; set INTEREST_GRAPH_DATA to the folder that holds it")
    honest = read_ratings(folder / "ratings.parquet")
    shares, seeds = (SHARES[-1:], SEEDS[:1]) if options.quick else (SHARES, SEEDS)
    rows: list[Row] = [attacked_row(honest, kind=kind, share=share, seeds=seeds) for kind in KINDS for share in shares]
    rows += cost_rows(honest, windows=WINDOWS[-1:] if options.quick else WINDOWS)
    notes = [
        f"AUC, honest, attackers: mean over seeds {seeds} and campaigns after {NUM_TARGETS} items; medians of credibility",
        f"gain left: of the rise in mean rank over all films unseen, {NUM_READERS} honest readers, with weights on; item_knn: 5 targets",
        "NDCG@10: pooled over test windows of a tenth of the time-ordered ratings each; change: with weights on, relative",
    ]
    publish("credibility", rows, options=options, notes=notes)


def read_ratings(path: Path) -> Ratings:
    """MovieLens ratings by position."""
    table = pq.read_table(path)
    users, items = (np.unique(table.column(name).to_numpy(), return_inverse=True)[1] for name in ("userId", "movieId"))
    at = np.asarray(table.column("timestamp").to_numpy(), dtype=np.int64)
    return Ratings(users, items, np.asarray(table.column("rating").to_numpy(), dtype=np.float64), at)


def attacked_row(honest: Ratings, *, kind: str, share: float, seeds: Sequence[int]) -> Row:
    """One kind and size of attack, over all seeds and numbers of targets."""
    found: list[dict[str, float]] = []
    for seed in seeds:
        for num_targets in NUM_TARGETS:
            rng = np.random.default_rng([seed, num_targets])
            attacked = attack(honest, kind=kind, share=share, num_targets=num_targets, rng=rng)
            reviewers = judged(interactions_of(attacked.ratings))
            figures = detection(attacked, reviewers)
            if kind != "love/hate nuke":
                models = MODELS if num_targets > 1 and seed == seeds[0] else MODELS[:1]
                figures |= gains(honest, attacked, reviewers, models=models)
            found.append(figures)
    names = dict.fromkeys(name for figures in found for name in figures)
    return {"what": kind, "attackers": f"{share:.0%}"} | {
        name: float(np.mean([figures[name] for figures in found if name in figures])) for name in names
    }


def detection(attacked: Attacked, reviewers: pa.Table) -> dict[str, float]:
    """AUC of our credibility and of plain deviation, and the two medians."""
    credibility_U = reviewers.column("credibility").to_numpy()
    return {
        "AUC": float(roc_auc_score(attacked.is_attacker_U, -credibility_U)),
        "AUC of RDMA": float(roc_auc_score(attacked.is_attacker_U, deviation(attacked.ratings))),
        "honest": float(np.median(credibility_U[~attacked.is_attacker_U])),
        "honest, 5th percentile": float(np.percentile(credibility_U[~attacked.is_attacker_U], 5)),
        "attackers median": float(np.median(credibility_U[attacked.is_attacker_U])),
    }


def deviation(ratings: Ratings) -> Floats:
    """Rating deviation from mean agreement: mean of |stars - item mean| / ratings of the item, shape [U]."""
    rated_I = np.bincount(ratings.item_N)
    mean_I = np.bincount(ratings.item_N, weights=ratings.stars_N) / np.maximum(rated_I, 1)
    away_N = np.abs(ratings.stars_N - mean_I[ratings.item_N]) / rated_I[ratings.item_N]
    return np.asarray(np.bincount(ratings.user_N, weights=away_N) / np.bincount(ratings.user_N), dtype=np.float64)


def gains(honest: Ratings, attacked: Attacked, reviewers: pa.Table, *, models: Sequence[type[Popularity | ItemKNN]]) -> dict[str, float]:
    """Share of the targets' rise in mean rank that remains with the weights on, by model."""
    readers = np.sort(np.random.default_rng(0).choice(honest.num_users, NUM_READERS, replace=False))
    after = interactions_of(attacked.ratings)
    worlds = {
        "clean": inputs_of(interactions_of(honest), catalogue=honest.num_items),
        "attacked": inputs_of(after, catalogue=honest.num_items),
        "weighed": inputs_of(after, catalogue=honest.num_items, reviewers=reviewers),
    }
    found = {}
    for model in models:
        rank = {name: mean_rank(model, inputs, readers=readers, targets=attacked.targets) for name, inputs in worlds.items()}
        found[f"{model.name} rank, attacked"] = rank["attacked"]
        found[f"{model.name} rank, clean"] = rank["clean"]
        found[f"{model.name} gain left"] = (rank["clean"] - rank["weighed"]) / (rank["clean"] - rank["attacked"])
    return found


def mean_rank(model: type[Popularity | ItemKNN], inputs: ModelInputs, *, readers: Ints, targets: Ints) -> float:
    """Mean rank of the targets among items a reader has not seen; ties in the middle."""
    scores_BI = model().fit(inputs, rng=np.random.default_rng(0)).score(readers)
    scores_BI = np.where(inputs.seen_UI[readers].toarray() > 0, -np.inf, scores_BI)
    ranks = []
    for target in targets:
        own_B = scores_BI[:, target][:, None]
        rank_B = (scores_BI > own_B).sum(axis=1) + 0.5 * (scores_BI == own_B).sum(axis=1)
        ranks.append(rank_B[np.isfinite(own_B[:, 0])].mean())
    return float(np.mean(ranks))


def cost_rows(honest: Ratings, *, windows: Sequence[float]) -> list[Row]:
    """NDCG@10 on ratings nobody attacked, without and with weights, by model."""
    interactions = interactions_of(honest)
    moments = np.sort(honest.at_N)
    plain: dict[str, list[Floats]] = {}
    weighed: dict[str, list[Floats]] = {}
    for share in windows:
        start, end = (_moment(moments[min(int(part * len(moments)), len(moments) - 1)]) for part in (share, share + 0.1))
        known = interactions.filter(pc.less(interactions.column("last_event_at"), pa.scalar(start, TIMESTAMP)))
        for kept, reviewers in ((plain, None), (weighed, judged(known, as_of=start))):
            inputs = inputs_of(known, catalogue=honest.num_items, reviewers=reviewers, as_of=start)
            truth = held_out(interactions, inputs=inputs, start=start, end=end)
            models = {model.name: model().fit(inputs, rng=np.random.default_rng(0)) for model in MODELS}
            scores = evaluate(models, inputs=inputs, truth=truth, config=EvaluationConfig(num_bootstrap=10)).per_user
            for name in models:
                kept.setdefault(name, []).append(scores[name]["ndcg@10"])
    return [_cost(name, np.concatenate(plain[name]), np.concatenate(weighed[name])) for name in plain]


def _cost(name: str, plain_T: Floats, weighed_T: Floats) -> Mapping[str, str | float | int]:
    return {
        "what": f"no attack, {name}",
        "attackers": "0%",
        "test users": len(plain_T),
        "NDCG@10 without": float(plain_T.mean()),
        "NDCG@10 with": float(weighed_T.mean()),
        "change": f"{weighed_T.mean() / plain_T.mean() - 1:+.2%}",
    }


def interactions_of(ratings: Ratings) -> pa.Table:
    """Ratings as the mart holds them, stars above three as likes."""
    at = pa.array(ratings.at_N * 1_000_000).cast(TIMESTAMP)
    return pa.table(
        {
            "day": at.cast(pa.date32()),
            "user_id": pa.array([f"u{user:05}" for user in ratings.user_N]),
            "item_id": pa.array([f"i{item:05}" for item in ratings.item_N]),
            "weight": ratings.stars_N - MIDDLE_STARS,
            "first_event_at": at,
            "last_event_at": at,
        }
    )


def judged(interactions: pa.Table, *, as_of: datetime | None = None) -> pa.Table:
    """`reviewer_signals` of ratings without a text."""
    return judge_reviewers(interactions, review_signals=REVIEW_SIGNALS.empty(), config=ReviewConfig(), as_of=as_of or _moment(2**31))


def inputs_of(interactions: pa.Table, *, catalogue: int, reviewers: pa.Table | None = None, as_of: datetime | None = None) -> ModelInputs:
    """What the linear models read, with or without the credibility of users."""
    moment = as_of or _moment(2**31)
    users = Vocabulary("user", interactions.column("user_id"))
    items = Vocabulary("item", [f"i{item:05}" for item in range(catalogue)])
    credibility_U = None
    if reviewers is not None:
        credibility_U = credibility_of(users.ids, reviewer_signals=reviewers, config=ReviewConfig()).astype(np.float32)
        interactions = weigh_interactions(
            interactions, review_signals=REVIEW_SIGNALS.empty(), reviewer_signals=reviewers, config=ReviewConfig(), as_of=moment
        )
    histories, seen_UI = interaction_matrices(interactions, users=users, items=items, half_life_days=NO_FADING_DAYS, as_of=moment)
    no_text_ID = np.zeros((catalogue, 0), dtype=np.float32)
    return ModelInputs(moment, users, items, histories.positives_UI, seen_UI, no_text_ID, InterestGraph({}, {}), credibility_U)


def _moment(seconds: int) -> datetime:
    return datetime.fromtimestamp(int(seconds), tz=UTC)


if __name__ == "__main__":
    main(parse_options(__doc__))
