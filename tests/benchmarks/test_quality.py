"""Rows of the quality table: a model measured, a model that does not fit, a split that is not here."""

import numpy as np
import pytest
import scipy.sparse as sp

from benchmarks import quality
from benchmarks.published.protocols import NEXT_ITEM
from benchmarks.published.questions import final
from benchmarks.published.readers import SPLITS
from benchmarks.published.split import PublishedSplit
from benchmarks.report import Options
from ml.models.ease import EASE
from ml.models.hybrid.components import COMPONENTS
from ml.models.popularity import Popularity


def small() -> PublishedSplit:
    train_UI = sp.csr_array(np.array([[1, 1, 0], [1, 0, 0]], dtype=np.float32))
    test_UI = sp.csr_array(np.array([[0, 0, 1], [0, 1, 0]], dtype=np.float32))
    return PublishedSplit("small", NEXT_ITEM, train_UI, test_UI)


def row(model: EASE | Popularity) -> dict:
    split = small()
    question = final(split, rng=np.random.default_rng(0))
    return dict(quality._row(split, question=question, inputs=question.inputs, model=model))


def test_a_row_holds_figures_and_costs() -> None:
    found = row(Popularity())
    assert found["hit_rate@10"] == "1.0000 (1.0000 to 1.0000)"
    assert (found["split"], found["model"], found["users"]) == ("small", "popularity", 2)
    assert min(found["fit cpu s"], found["score cpu s"], found["rank cpu s"], found["grown MiB"]) >= 0.0


def test_what_does_not_fit_is_not_run_and_says_why() -> None:
    found = row(EASE(max_items=1))
    assert found["note"].startswith("not run: 2 items need")
    assert "hit_rate@10" not in found


@pytest.mark.parametrize("name", SPLITS)
def test_every_split_has_settled_settings(name: str) -> None:
    timeless = ["popularity", "user_knn", "item_knn", "ease", "ials", "spectral_filter"]
    others = ["item_knn", "ease", "transitions", "text_only", "node2vec"] if name in quality.TRANSITIONS else ["lightgcn"]
    peers = ["implicit ALS", "implicit BPR", "cornac BPR"]
    models = list(quality.contestants(name))
    assert [model.name for model in models] == timeless + others + peers
    assert set(quality.hybrid_models(name)) <= set(COMPONENTS)
    labels = [quality.labelled(model) for model in models]
    assert len(set(labels)) == len(labels), "rows of the table could not be told apart"


def test_sets_that_are_not_here_are_named(tmp_path, monkeypatch, capsys) -> None:
    monkeypatch.setenv("INTEREST_GRAPH_DATA", str(tmp_path))
    quality.main(Options(quick=False, json_path=None))
    assert "not on this machine: gowalla-lightgcn" in capsys.readouterr().out
