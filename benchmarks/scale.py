"""Graph, training and exact top-N against the number of events: time, peak memory, and how they grow.

Events are drawn on the sample's law, not by its simulator, whose users x items tables end at some ten thousand users: activity and
popularity fall as `examples.shop` has them, users have few strong themes, there are as many events a user and as many items
a user as there. They go straight into the `interactions` table. Each size runs in a process of its own, so that peak memory is its own.

python -m benchmarks.scale [--quick] [--json FILE]
"""

import json
import subprocess
import sys
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from importlib import import_module
from itertools import islice

import numpy as np
import pyarrow as pa
import torch

from benchmarks.program import REPOSITORY
from benchmarks.report import Cost, Options, Row, costed, parse_options, peak_memory_gib, publish
from examples.shop.arrays import Ints, zipf_weights
from examples.shop.catalogue import POPULARITY_EXPONENT
from examples.shop.population import ACTIVITY_EXPONENT, ACTIVITY_OFFSET, NUM_STRONG, NUM_STRONG_SHARES, STRONG_MASS
from ml.config import PipelineConfig
from ml.contracts.behaviour import INTERACTIONS, ITEMS
from ml.contracts.meaning import ITEM_EMBEDDINGS, ITEM_INTERESTS, KNOWLEDGE_GRAPH, TEXT_INTERESTS
from ml.ids import FloatArray
from ml.models.gnn.fitting import Trainer
from ml.models.gnn.network import InterestNetwork
from ml.models.gnn.node_network import NodeNetwork
from ml.models.gnn.sampling import Likes, batches, likes_to_learn
from ml.models.gnn.vector_recommender import log_popularity
from ml.models.inputs import ModelInputs
from ml.ranking.factors import Factors
from ml.ranking.top_n_vectors import top_n_vectors
from ml.training.inputs import build_inputs

SIZES = (100_000, 300_000, 1_000_000, 3_000_000, 10_000_000)
QUICK_SIZES = (30_000, 100_000)
# Of the bundled sample: 84,926 honest events (3,154 of them searches, which name no item) of 1,500 users on 1,200 items in 60 days.
EVENTS_PER_USER, ITEMS_PER_USER, NUM_DAYS = 55, 0.8, 60
NUM_THEMES, TAGS_PER_ITEM, TEXT_SIZE = 37, 3, 64
# What an event of some kind counts there, and how often it is of that kind.
WEIGHTS, WEIGHT_SHARES = np.array([1.0, 2.0, 4.0, -1.0]), np.array([0.72, 0.14, 0.12, 0.02])
NUM_STEPS = 3
# Less growth than this says where freed memory was found again, not what a stage needs.
LEAST_MIB = 20.0
AS_OF = datetime(2026, 7, 1, tzinfo=UTC)


def main(options: Options) -> None:
    """Measure every size and publish the table with the fitted growth."""
    sizes = QUICK_SIZES if options.quick else SIZES
    rows = [row for num_events in sizes for row in _in_own_process(num_events)]
    stages = list(dict.fromkeys(str(row["stage"]) for row in rows))
    notes = [f"{stage}: {_growth_of(rows, stage)}" for stage in stages]
    notes += [
        f"training: the network (its spectral start with it) and {NUM_STEPS} optimiser steps over the whole graph; no epoch is run",
        "epoch: a step's seconds times the steps of an epoch, an estimate; both grow with the events, so their product grows as the square",
        "grown: peak resident memory while the stage ran, above where it began (a stage may find room that an earlier one freed)",
        "process: its largest resident memory so far",
        f"{torch.get_num_threads()} thread(s); texts are {TEXT_SIZE} random numbers an item",
    ]
    publish("scale", rows, options=options, notes=notes)


def growth(sizes: Sequence[float], values: Sequence[float]) -> float:
    """The exponent e of `value = c x size^e` that fits best, by least squares on logarithms."""
    if len(set(sizes)) < 2 or min(*sizes, *values) <= 0:
        raise ValueError(f"growth needs two different sizes and values above 0, got {list(sizes)} and {list(values)}")
    return float(np.polyfit(np.log(sizes), np.log(values), 1)[0])


def _growth_of(rows: Sequence[Row], stage: str) -> str:
    measured = [
        (float(row["events"] or 0), float(row["cpu s"] or 0), float(row["grown MiB"] or 0)) for row in rows if row["stage"] == stage
    ]
    sizes, seconds, grown = zip(*measured, strict=True)
    memory = f", memory as events^{growth(sizes, grown):.2f}" if min(grown) > LEAST_MIB else ""
    return f"seconds grow as events^{growth(sizes, seconds):.2f}{memory}"


def _in_own_process(num_events: int) -> list[Row]:
    program = f"import json; from benchmarks.scale import measure; print(json.dumps(measure({num_events})))"
    finished = subprocess.run([sys.executable, "-c", program], cwd=REPOSITORY, check=False, capture_output=True, text=True)  # noqa: S603
    if finished.returncode != 0:
        raise RuntimeError(f"{num_events:,} events: ended with {finished.returncode}: {finished.stderr[-2000:]}")
    found: list[Row] = json.loads(finished.stdout.splitlines()[-1])
    return found


def measure(num_events: int) -> list[dict[str, str | int | float]]:
    """All stages at one size, in this process."""
    config, rng = PipelineConfig(), np.random.default_rng(7)
    tables = draw_tables(num_events, rng=rng)
    with costed() as graph_cost:
        inputs = build_inputs(**tables, interests=config.interests, graph=config.graph, as_of=AS_OF, reviews=config.reviews)
    del tables
    import_module("ml.models.gnn.convolution")  # PyG's own import takes seconds, which are no part of training
    with costed() as training_cost:
        trainer, step_seconds = _train(inputs, config=config, rng=rng)
    factors = _factors(trainer.network, inputs, config=config)
    num_steps = -(-len(trainer.learned) // config.model.batch_size)
    del trainer
    with costed() as ranking_cost:
        _rank(factors, inputs, config=config)
    about = {"events": num_events, "users": len(inputs.users), "items": len(inputs.items), "likes": int(inputs.positives_UI.nnz)}
    found = [_row(about, stage, cost) for stage, cost in (("graph", graph_cost), ("training", training_cost), ("top-N", ranking_cost))]
    epoch: dict[str, str | int | float] = {
        "stage": "epoch, estimated",
        "cpu s": step_seconds * num_steps,
        "grown MiB": 0.0,
        "process GiB": peak_memory_gib(),
    }
    return [*found, about | epoch]


def _row(about: dict[str, int], stage: str, cost: Cost) -> dict[str, str | int | float]:
    measured = {"cpu s": cost.timing.cpu_seconds, "grown MiB": cost.grown_bytes / 2**20, "process GiB": peak_memory_gib()}
    return about | {"stage": stage} | measured


def _train(inputs: ModelInputs, *, config: PipelineConfig, rng: np.random.Generator) -> tuple[Trainer, float]:
    """A network that made its first steps, and the processor seconds of one step: the mean of those after the first."""
    device, generator = torch.device("cpu"), torch.Generator().manual_seed(7)
    network = InterestNetwork(inputs, config=config.model, rng=rng, device=device)
    learned = likes_to_learn(inputs, weight_power=config.model.like_weight_power)
    trainer = Trainer(network, learned, config.model, generator, device)
    seconds = []
    for batch in islice(_batches_again_and_again(trainer, config), NUM_STEPS):
        with costed() as cost:
            trainer.step(batch)
        seconds.append(cost.timing.cpu_seconds)
    return trainer, float(np.mean(seconds[1:]))


def _batches_again_and_again(trainer: Trainer, config: PipelineConfig) -> Iterator[Likes]:
    while True:
        yield from batches(trainer.learned, batch_size=config.model.batch_size, generator=trainer.generator)


def _factors(network: NodeNetwork, inputs: ModelInputs, *, config: PipelineConfig) -> Factors:
    vectors = {kind: found.numpy() for kind, found in network.unit_vectors().items() if kind in {"user", "item"}}
    users_UD = (vectors["user"] / config.model.temperature).astype(np.float32)
    return Factors(users_UD, vectors["item"], log_popularity(inputs))


def _rank(factors: Factors, inputs: ModelInputs, *, config: PipelineConfig) -> None:
    top_n_vectors(
        factors,
        user_index=np.arange(len(inputs.users)),
        excluded_UI=inputs.seen_UI,
        k=config.ranking.top_k,
        block_size=config.ranking.block_size,
        device=torch.device("cpu"),
    )


def draw_tables(num_events: int, *, rng: np.random.Generator) -> dict[str, pa.Table]:
    """The tables of `build_inputs`, on the sample's law."""
    num_users = max(num_events // EVENTS_PER_USER, 2)
    num_items = max(int(num_users * ITEMS_PER_USER), NUM_THEMES)
    theme_I = np.sort(rng.integers(NUM_THEMES, size=num_items))
    user_N = _weighted(rng.permutation(zipf_weights(num_users, exponent=ACTIVITY_EXPONENT, offset=ACTIVITY_OFFSET)), num_events, rng)
    item_N = _items(_themes(user_N, num_users=num_users, rng=rng), theme_I=theme_I, rng=rng)
    return {
        "interactions": _interactions(user_N, item_N, rng=rng),
        "items": _item_table(num_items),
        "item_embeddings": _embeddings(rng.normal(size=(num_items, TEXT_SIZE)).astype(np.float32)),
        "item_interests": _item_interests(theme_I, rng=rng),
        "text_interests": TEXT_INTERESTS.empty(),
        "knowledge_graph": KNOWLEDGE_GRAPH.empty(),
    }


def _weighted(weights: np.ndarray, count: int, rng: np.random.Generator) -> Ints:
    """Positions drawn with probability proportional to weight."""
    cumulative = np.cumsum(weights)
    drawn: Ints = np.minimum(np.searchsorted(cumulative, rng.random(count) * cumulative[-1]), len(weights) - 1)
    return drawn


def _themes(user_N: Ints, *, num_users: int, rng: np.random.Generator) -> Ints:
    """What each event is about: mostly one of its user's strong themes."""
    strong_US = rng.integers(NUM_THEMES, size=(num_users, max(NUM_STRONG)))
    num_strong_U = rng.choice(NUM_STRONG, size=num_users, p=NUM_STRONG_SHARES)
    chosen_N = strong_US[user_N, (rng.random(len(user_N)) * num_strong_U[user_N]).astype(np.int64)]
    return np.where(rng.random(len(user_N)) < STRONG_MASS, chosen_N, rng.integers(NUM_THEMES, size=len(user_N)))


def _items(theme_N: Ints, *, theme_I: Ints, rng: np.random.Generator) -> Ints:
    """An item of each event's theme by its appeal; items lie theme by theme."""
    appeal_I = rng.permutation(zipf_weights(len(theme_I), exponent=POPULARITY_EXPONENT))
    upto_I = np.concatenate([[0.0], np.cumsum(appeal_I)])
    first_T, last_T = np.searchsorted(theme_I, np.arange(NUM_THEMES)), np.searchsorted(theme_I, np.arange(NUM_THEMES), side="right")
    drawn_N = upto_I[first_T[theme_N]] + rng.random(len(theme_N)) * (upto_I[last_T[theme_N]] - upto_I[first_T[theme_N]])
    item_N: Ints = np.minimum(np.searchsorted(upto_I, drawn_N, side="right") - 1, len(theme_I) - 1)
    return item_N


def _interactions(user_N: Ints, item_N: Ints, *, rng: np.random.Generator) -> pa.Table:
    """Rows by day, user and item, of one event each or of several."""
    day_N = rng.integers(NUM_DAYS, size=len(user_N))
    order = np.lexsort((item_N, user_N, day_N))
    user_N, item_N, day_N = user_N[order], item_N[order], day_N[order]
    starts = np.flatnonzero(np.diff(user_N, prepend=-1) | np.diff(item_N, prepend=-1) | np.diff(day_N, prepend=-1))
    weight_M = np.add.reduceat(rng.choice(WEIGHTS, size=len(user_N), p=WEIGHT_SHARES), starts)
    first_day = AS_OF - timedelta(days=NUM_DAYS)
    midnight_M = np.datetime64(first_day.replace(tzinfo=None), "us") + day_N[starts].astype("timedelta64[D]")
    at_M = midnight_M + rng.integers(86_400, size=len(starts)).astype("timedelta64[s]")
    columns = {
        "day": pa.array(midnight_M.astype("datetime64[D]")),
        "user_id": _ids("u", user_N[starts]),
        "item_id": _ids("i", item_N[starts]),
        "weight": weight_M,
        "num_events": np.diff(starts, append=len(user_N)),
        "first_event_at": pa.array(at_M).cast(pa.timestamp("us")).cast(pa.timestamp("us", tz="UTC")),
        "last_event_at": pa.array(at_M).cast(pa.timestamp("us")).cast(pa.timestamp("us", tz="UTC")),
    }
    return pa.table({name: columns[name] for name in INTERACTIONS.schema.names}).cast(INTERACTIONS.schema)


def _ids(letter: str, positions: Ints) -> pa.Array:
    known = pa.array([f"{letter}{number:08d}" for number in range(int(positions.max(initial=-1)) + 1)], pa.string())
    return known.take(pa.array(positions))


def _item_table(num_items: int) -> pa.Table:
    rows = {name: pa.nulls(num_items, ITEMS.schema.field(name).type) for name in ITEMS.schema.names}
    rows |= {
        "item_id": _ids("i", np.arange(num_items)),
        "title": _ids("i", np.arange(num_items)),
        "is_catalogued": pa.repeat(True, num_items),
    }
    return pa.table(rows).cast(pa.schema([field.with_nullable(True) for field in ITEMS.schema]))


def _embeddings(vectors_ID: FloatArray) -> pa.Table:
    flat = pa.array(vectors_ID.reshape(-1))
    vectors = pa.ListArray.from_arrays(pa.array(np.arange(len(vectors_ID) + 1, dtype=np.int32) * vectors_ID.shape[1]), flat)
    rows = {
        "item_id": _ids("i", np.arange(len(vectors_ID))),
        "text_hash": _ids("h", np.arange(len(vectors_ID))),
        "space_id": pa.repeat("drawn", len(vectors_ID)),
        "vector": vectors.cast(ITEM_EMBEDDINGS.schema.field("vector").type),
    }
    return pa.table(rows).select(ITEM_EMBEDDINGS.schema.names).cast(ITEM_EMBEDDINGS.schema)


def _item_interests(theme_I: Ints, *, rng: np.random.Generator) -> pa.Table:
    """An item's theme and some tags of that theme, of which there are ten."""
    item = np.repeat(np.arange(len(theme_I)), TAGS_PER_ITEM + 1)
    tag = rng.integers(10, size=len(item)) + 1
    tag[:: TAGS_PER_ITEM + 1] = 0
    point = np.repeat(theme_I, TAGS_PER_ITEM + 1) * 11 + tag
    item, point = np.divmod(np.unique(item * NUM_THEMES * 11 + point), NUM_THEMES * 11)
    columns = {"item_id": _ids("i", item), "interest_id": _ids("p", point), "weight": np.full(len(item), 0.5)}
    rows = {name: columns.get(name, pa.nulls(len(item), ITEM_INTERESTS.schema.field(name).type)) for name in ITEM_INTERESTS.schema.names}
    return pa.table(rows).cast(pa.schema([field.with_nullable(True) for field in ITEM_INTERESTS.schema]))


if __name__ == "__main__":
    main(parse_options(__doc__))
