"""Ranks by hand: ties count against, other right answers not at all."""

import numpy as np
import pyarrow as pa
import pytest
import torch

from ml.finetuning.contrast import contrastive_loss
from ml.finetuning.retrieval import answer_ranks, mean_reciprocal_rank, recall, retrieval_task

EYE = np.eye(4, dtype=np.float32)


def test_ranks_by_hand() -> None:
    anchors = np.array([[0.9, 0.5, 0.1, 0.0], [0.1, 0.2, 0.3, 0.4]], dtype=np.float32)
    assert answer_ranks(anchors, EYE, answer_N=np.array([1, 0]), group_N=np.array([0, 1])).tolist() == [2, 4]


def test_vectors_that_are_all_the_same_find_nothing() -> None:
    same = np.ones((3, 4), dtype=np.float32)
    assert answer_ranks(same, same, answer_N=np.arange(3), group_N=np.arange(3)).tolist() == [3, 3, 3]


def test_other_answers_of_the_same_anchor_do_not_count() -> None:
    anchors = np.array([[0.9, 0.5, 0.7, 0.0]] * 2 + [[0.9, 0.5, 0.7, 0.0]], dtype=np.float32)
    assert answer_ranks(anchors, EYE, answer_N=np.array([0, 1, 1]), group_N=np.array([5, 5, 2])).tolist() == [1, 2, 3]


def test_ranks_are_the_same_in_blocks(monkeypatch) -> None:
    rng = np.random.default_rng(0)
    anchors, documents = rng.normal(size=(50, 6)).astype(np.float32), rng.normal(size=(30, 6)).astype(np.float32)
    asked = {"answer_N": rng.integers(0, 30, 50), "group_N": rng.integers(0, 20, 50)}
    whole = answer_ranks(anchors, documents, **asked)
    monkeypatch.setattr("ml.finetuning.retrieval._BLOCK", 7)
    assert np.array_equal(whole, answer_ranks(anchors, documents, **asked))


def test_recall_and_reciprocal_ranks() -> None:
    assert recall(np.array([1, 10, 11]), k=10).tolist() == [1.0, 1.0, 0.0]
    assert mean_reciprocal_rank(np.array([1, 4])) == pytest.approx(0.625)
    assert mean_reciprocal_rank(np.array([], dtype=np.int64)) == 0.0


def test_a_task_holds_every_answer_among_distinct_documents() -> None:
    pairs = pa.table({"anchor": ["a", "b", "c"], "document": ["x", "y", "x"]})
    pool = pa.chunked_array([["x", "y", "z", "z", "w", "v"]])
    task = retrieval_task(pairs, pool=pool, max_pairs=10, max_documents=4, rng=np.random.default_rng(0))
    assert len(task.documents) == len(set(task.documents)) == 4
    assert [task.documents[place] for place in task.answer_N] == ["x", "y", "x"]
    fewer = retrieval_task(pairs, pool=pool, max_pairs=2, max_documents=1, rng=np.random.default_rng(0))
    assert len(fewer.anchors) == 2
    assert {fewer.documents[place] for place in fewer.answer_N} <= set(fewer.documents)


def test_the_loss_by_hand() -> None:
    anchors, documents = torch.tensor([[1.0, 0.0], [0.0, 1.0]]), torch.tensor([[1.0, 0.0], [0.6, 0.8]])
    none_alike = torch.zeros(2, 2, dtype=torch.bool)
    logits = np.array([[1.0, 0.6], [0.0, 0.8]]) / 0.5
    there = -np.mean([row[place] - np.log(np.exp(row).sum()) for place, row in enumerate(logits)])
    back = -np.mean([row[place] - np.log(np.exp(row).sum()) for place, row in enumerate(logits.T)])
    assert float(contrastive_loss(anchors, documents, alike_BB=none_alike, temperature=0.5)) == pytest.approx((there + back) / 2, rel=1e-6)


def test_pairs_that_belong_together_are_no_negatives_but_themselves_stay() -> None:
    vectors = torch.nn.functional.normalize(torch.randn(3, 4, generator=torch.Generator().manual_seed(0)), dim=1)
    alike = torch.ones(3, 3, dtype=torch.bool)
    assert float(contrastive_loss(vectors, vectors.flip(0), alike_BB=alike, temperature=0.1)) == pytest.approx(0.0, abs=1e-6)
    alike = torch.tensor([[True, True, False], [True, True, False], [False, False, True]])
    pair = contrastive_loss(vectors[[0, 2]], vectors[[0, 2]], alike_BB=torch.eye(2, dtype=torch.bool), temperature=0.1)
    assert torch.isfinite(contrastive_loss(vectors, vectors, alike_BB=alike, temperature=0.1))
    assert float(pair) > 0
