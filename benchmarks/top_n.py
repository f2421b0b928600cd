"""Exact top-N of all users: ours against faiss and plain torch, in one run, and its share of the machine's GEMM rate.

Vectors are drawn around common centres, as those of a fitted model lie; every user has met some items. Ours leave
those out while ranking. faiss cannot exclude per user: it is asked for the list and as many more as the user with most has met,
and the rest is filtered out. Processor seconds, the best of several rounds in which all take turns; all on the same threads.

python -m benchmarks.top_n [--quick] [--json FILE]
"""

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import faiss
import numpy as np
import scipy.sparse as sp
import torch

from benchmarks.report import Options, Row, parse_options, publish, timed
from ml.ids import IntArray
from ml.ranking.factors import Factors
from ml.ranking.top_n_vectors import top_n_vectors
from ml.top_n import top_n
from ml.unit_rows import unit_rows

K = 20
BLOCK, CUDA_BLOCK = 512, 4096
MEAN_SEEN = 30
CENTRES = 200
# Users, items and dimensions of each question.
SIZES = ((10_000, 20_000, 64), (10_000, 20_000, 128), (50_000, 50_000, 64), (50_000, 50_000, 128))
QUICK_SIZES = ((2_000, 10_000, 64), (2_000, 20_000, 128))
ROUNDS, QUICK_ROUNDS = 2, 3

Way = Callable[[], IntArray]


@dataclass(frozen=True)
class Question:
    """Everybody's vectors and what everybody has met."""

    factors: Factors
    seen_UI: sp.csr_array

    @property
    def most_seen(self) -> int:
        """Items met by the user who has met most."""
        return int(np.diff(self.seen_UI.indptr).max())

    @property
    def asked(self) -> dict[str, object]:
        """What both of our paths are asked."""
        return {"user_index": np.arange(self.seen_UI.shape[0]), "excluded_UI": self.seen_UI, "k": K, "block_size": BLOCK}


def main(options: Options) -> None:
    """Measure every size and publish the table."""
    threads = int(os.environ.get("OMP_NUM_THREADS", os.cpu_count() or 1))
    torch.set_num_threads(threads)
    faiss.omp_set_num_threads(threads)
    rows: list[Row] = []
    for size in QUICK_SIZES if options.quick else SIZES:
        rows += _measure(*size, rounds=QUICK_ROUNDS if options.quick else ROUNDS, with_hnsw=not options.quick)
    notes = [
        f"{threads} thread(s) each; lists of {K}; blocks of {BLOCK} users; times ours: seconds over those of the vector path",
        "share of GEMM: the products' floating-point operations a second over those of numpy's own matrix product of the same blocks",
        "recall: share of the exact list found; exact ways are held against the vector path, ties and rounding apart they are 1",
        "faiss with filtering returns what may be offered; without, and plain torch, also what users have met: recall is then left out",
        "vectors around centres are what an index finds easily: recall on those of a fitted model may be lower",
    ]
    publish("top_n", rows, options=options, notes=[*notes, *([_on_cuda()] if torch.cuda.is_available() else ["no CUDA device here"])])


def draw(num_users: int, num_items: int, num_dimensions: int, *, rng: np.random.Generator) -> Question:
    """Unit vectors around common centres, a popularity, and pairs met."""
    centres = rng.normal(size=(CENTRES, num_dimensions))
    users_UD, items_ID = (
        unit_rows(centres[rng.integers(CENTRES, size=count)] + 0.7 * rng.normal(size=(count, num_dimensions)))
        for count in (num_users, num_items)
    )
    num_pairs = num_users * MEAN_SEEN
    pairs = rng.integers(num_users, size=num_pairs), np.minimum(rng.pareto(1.0, num_pairs) * num_items / 20, num_items - 1).astype(np.int64)
    seen_UI = sp.csr_array((np.ones(num_pairs, dtype=np.float32), pairs), shape=(num_users, num_items))
    seen_UI.sum_duplicates()
    return Question(Factors(users_UD, items_ID, np.zeros(num_items, dtype=np.float32)), seen_UI)


def _measure(num_users: int, num_items: int, num_dimensions: int, *, rounds: int, with_hnsw: bool) -> list[Row]:
    question = draw(num_users, num_items, num_dimensions, rng=np.random.default_rng(7))
    ways, build_seconds = _ways(question, with_hnsw=with_hnsw)
    seconds: dict[str, float] = {}
    found: dict[str, IntArray] = {}
    for _ in range(rounds):
        for name, way in ways.items():
            with timed() as timing:
                found[name] = way()
            seconds[name] = min(timing.cpu_seconds, seconds.get(name, np.inf))
    exact = found["ours, vectors"]
    return [
        {
            "users x items, d": f"{num_users:,} x {num_items:,}, {num_dimensions}",
            "way": name,
            "cpu s": seconds[name],
            "times ours": seconds[name] / seconds["ours, vectors"],
            "share of GEMM": seconds["numpy GEMM alone"] / seconds[name] if _is_exact(name) else None,
            "recall": _recall(found[name], exact) if _leaves_seen_out(name) else None,
            "index cpu s": build_seconds.get(name),
            "GFLOP/s": 2e-9 * num_users * num_items * num_dimensions / seconds[name] if _is_exact(name) else None,
        }
        for name in ways
    ]


def _is_exact(name: str) -> bool:
    """Whether every product is made, so that a rate says something."""
    return not name.startswith(("faiss IVF", "faiss HNSW"))


def _leaves_seen_out(name: str) -> bool:
    return name.startswith("ours") or name.endswith("filtered")


def _recall(found_UK: IntArray, exact_UK: IntArray) -> float:
    hits = [
        (found_UK[start : start + BLOCK, :, None] == exact_UK[start : start + BLOCK, None, :]).sum()
        for start in range(0, len(exact_UK), BLOCK)
    ]
    return float(sum(hits) / (exact_UK >= 0).sum())


def _ways(question: Question, *, with_hnsw: bool) -> tuple[Mapping[str, Way], Mapping[str, float]]:
    """Everything that is measured, by name, and what building the indexes cost."""
    factors, size = question.factors, question.factors.items_ID.shape[1]
    flat = faiss.IndexFlatIP(size)
    flat.add(factors.items_ID)
    more = K + question.most_seen
    ways: dict[str, Way] = {
        "numpy GEMM alone": lambda: _gemm_alone(factors),
        "ours, vectors": lambda: top_n_vectors(factors, device=torch.device("cpu"), **question.asked)[0],  # type: ignore[arg-type]
        "ours, any model": lambda: top_n(lambda rows: factors.users_UD[rows] @ factors.items_ID.T, **question.asked)[0],  # type: ignore[arg-type]
        "faiss flat": lambda: _searched(flat, factors, k=K),
        "faiss flat, filtered": lambda: _filtered(_searched(flat, factors, k=more), question.seen_UI),
        "torch matmul and topk": lambda: _plain_torch(factors),
    }
    build_seconds: dict[str, float] = {}
    num_lists = int(4 * np.sqrt(len(factors.items_ID)))
    approximate: dict[str, Any] = {"faiss IVF": faiss.IndexIVFFlat(faiss.IndexFlatIP(size), size, num_lists, faiss.METRIC_INNER_PRODUCT)}
    approximate["faiss IVF"].nprobe = max(num_lists // 16, 1)
    if with_hnsw:
        approximate["faiss HNSW"] = faiss.IndexHNSWFlat(size, 16, faiss.METRIC_INNER_PRODUCT)
        approximate["faiss HNSW"].hnsw.efSearch = 2 * more
    for name, index in approximate.items():
        with timed() as timing:
            index.train(factors.items_ID)
            index.add(factors.items_ID)
        build_seconds[f"{name}, filtered"] = timing.cpu_seconds
        ways[f"{name}, filtered"] = lambda index=index: _filtered(_searched(index, factors, k=more), question.seen_UI)  # type: ignore[misc]
    return ways, build_seconds


def _gemm_alone(factors: Factors) -> IntArray:
    out = np.empty((BLOCK, len(factors.items_ID)), dtype=np.float32)
    for start in range(0, len(factors.users_UD), BLOCK):
        users_BD = factors.users_UD[start : start + BLOCK]
        np.matmul(users_BD, factors.items_ID.T, out=out[: len(users_BD)])
    return np.empty((0, K), dtype=np.int64)


def _plain_torch(factors: Factors) -> IntArray:
    items_DI = torch.from_numpy(factors.items_ID).T
    blocks = torch.split(torch.from_numpy(factors.users_UD), BLOCK)
    return torch.vstack([torch.topk(users_BD @ items_DI, K, dim=1).indices for users_BD in blocks]).numpy()


def _searched(index: faiss.Index, factors: Factors, *, k: int) -> IntArray:
    found: IntArray = index.search(factors.users_UD, min(k, len(factors.items_ID)))[1]
    return found


def _filtered(found_UN: IntArray, seen_UI: sp.csr_array) -> IntArray:
    """The first `K` of each row that were not met, in their order."""
    user_U1 = np.arange(len(found_UN))[:, None]
    seen = np.sort(np.repeat(np.arange(seen_UI.shape[0]), np.diff(seen_UI.indptr)) * seen_UI.shape[1] + seen_UI.indices)
    pairs_UN = user_U1 * seen_UI.shape[1] + found_UN
    is_seen_UN = seen[np.minimum(np.searchsorted(seen, pairs_UN), len(seen) - 1)] == pairs_UN
    order_UK = np.argsort(is_seen_UN | (found_UN < 0), axis=1, kind="stable")[:, :K]
    return np.take_along_axis(found_UN, order_UK, axis=1)


def _on_cuda() -> str:
    """Wall seconds of the vector path on the card, and its share of the card's own matrix product."""
    question, device = draw(50_000, 50_000, 128, rng=np.random.default_rng(7)), torch.device("cuda")
    users_UD, items_ID = (torch.from_numpy(vectors).to(device) for vectors in (question.factors.users_UD, question.factors.items_ID))
    asked = question.asked | {"block_size": CUDA_BLOCK}

    def gemm_alone() -> None:
        for users_BD in torch.split(users_UD, CUDA_BLOCK):
            users_BD @ items_ID.T

    product = _wall_seconds(gemm_alone)
    ours = _wall_seconds(lambda: top_n_vectors(question.factors, device=device, **asked))  # type: ignore[arg-type]
    return f"{torch.cuda.get_device_name()}, 50,000 x 50,000, d = 128: {ours:.2f} s, {product / ours:.0%} of the card's GEMM rate"


def _wall_seconds(way: Callable[[], object]) -> float:
    """The second time: the first compiles and allocates."""
    for _ in range(2):
        with timed() as timing:
            way()
            torch.cuda.synchronize()
    return timing.wall_seconds


if __name__ == "__main__":
    main(parse_options(__doc__))
