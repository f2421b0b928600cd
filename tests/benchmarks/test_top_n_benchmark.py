"""The filter behind faiss and the recall that is reported."""

import numpy as np
import scipy.sparse as sp

from benchmarks.top_n import K, _filtered, _recall, _ways, draw
from ml.top_n import top_n


def test_filtering_keeps_the_order_of_what_was_not_met() -> None:
    seen_UI = sp.csr_array((np.ones(3), ([0, 0, 1], [5, 7, 0])), shape=(2, 100))
    found = np.vstack([np.arange(5, 5 + K + 2), np.arange(K + 2)])
    kept = _filtered(found, seen_UI)
    assert kept[0].tolist() == [6, *range(8, 8 + K - 1)]
    assert kept[1].tolist() == list(range(1, K + 1))


def test_every_exact_way_finds_the_same() -> None:
    question = draw(70, 3000, 16, rng=np.random.default_rng(2))
    ways, index_seconds = _ways(question, with_hnsw=False)
    exact = top_n(lambda rows: question.factors.users_UD[rows] @ question.factors.items_ID.T, **question.asked)[0]
    for name in ("ours, vectors", "ours, any model", "faiss flat, filtered"):
        assert _recall(ways[name](), exact) > 0.999, name
    assert 0.3 < _recall(ways["faiss IVF, filtered"](), exact) <= 1.0
    assert set(index_seconds) == {"faiss IVF, filtered"}
