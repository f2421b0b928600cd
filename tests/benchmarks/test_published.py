"""Published splits are read whole, their protocols measure what their papers say, and the test is asked by the last run alone."""

import re
from pathlib import Path

import numpy as np
import pytest
import scipy.sparse as sp

from benchmarks.published.protocols import ALL_RANKING, NEXT_ITEM, ndcg_of_list
from benchmarks.published.questions import WITHHELD_SHARE, final, rehearsal, withhold
from benchmarks.published.readers import SPLITS, read_interactions, read_lists, read_sequences, read_split
from benchmarks.published.split import PublishedSplit, pairs_of
from ml.evaluation.metrics import ndcg
from ml.models.popularity import Popularity

BENCHMARKS = Path(__file__).resolve().parents[2] / "benchmarks"
# name: users, items, train, validation, test; from each folder's DATA.md.
COUNTS = {
    "gowalla-lightgcn": (29_858, 40_981, 810_128, None, 217_242),
    "amazon-book-kgat": (70_679, 24_915, 652_514, None, 193_920),
    "s3rec-beauty": (22_363, 12_101, 198_502 - 2 * 22_363, 22_363, 22_363),
    "s3rec-sports": (35_598, 18_357, 296_337 - 2 * 35_598, 35_598, 35_598),
    # 59,427 interactions before the source cut histories to 50 items, 187 of train's are repetitions.
    "amazon-scientific-text": (8_442, 4_385, 59_427 - 2 * 8_442 - 187, 8_442, 8_442),
}


def rng() -> np.random.Generator:
    return np.random.default_rng(0)


def stored(name: str) -> PublishedSplit:
    split = read_split(name)
    if split is None:
        pytest.skip(f"{name} is not on this machine: set INTEREST_GRAPH_DATA to the folder that holds it")
    return split


@pytest.mark.parametrize("name", SPLITS)
def test_counts_are_those_of_the_data_sheet(name: str) -> None:
    split = stored(name)
    num_users, num_items, *num_pairs = COUNTS[name]
    assert split.train_UI.shape == split.test_UI.shape == (num_users, num_items)
    parts = (split.train_UI, split.validation_UI, split.test_UI)
    assert [None if part is None else part.nnz for part in parts] == num_pairs
    assert all(part is None or set(part.data.tolist()) == {1.0} for part in parts)


@pytest.mark.parametrize("name", SPLITS)
def test_no_test_pair_is_known(name: str) -> None:
    split = stored(name)
    question = final(split, rng=rng())
    # Users of Industrial & Scientific buy things again; the other sets hold each pair once.
    assert question.known_UI.multiply(question.answer_UI).nnz == (50 if name == "amazon-scientific-text" else 0)


@pytest.mark.parametrize("name", [name for name in SPLITS if name not in ("gowalla-lightgcn", "amazon-book-kgat")])
def test_histories_are_the_train_items_in_order(name: str) -> None:
    split = stored(name)
    assert (pairs_of(split.history, num_items=split.train_UI.shape[1]) != split.train_UI).nnz == 0


def write(path: Path, text: str) -> None:
    import gzip

    path.write_bytes(gzip.compress(text.encode()))


def test_lists_are_read(tmp_path: Path) -> None:
    write(tmp_path / "item_list.txt.gz", "org_id remap_id\na 0\nb 1\nc 2\n")
    write(tmp_path / "train.txt.gz", "0 0 2\n1 1\n")
    write(tmp_path / "test.txt.gz", "0 1\n1\n")
    split = read_lists("tiny", tmp_path)
    np.testing.assert_array_equal(split.train_UI.toarray(), [[1, 0, 1], [0, 1, 0]])
    np.testing.assert_array_equal(split.test_UI.toarray(), [[0, 1, 0], [0, 0, 0]])
    assert final(split, rng=rng()).user_index.tolist() == [0], "user 1 has no test item"


def test_sequences_leave_the_last_two_out(tmp_path: Path) -> None:
    write(tmp_path / "sequences.txt.gz", "1 3 1 2\n2 4 3 2 1\n")
    split = read_sequences("tiny", tmp_path)
    np.testing.assert_array_equal(split.train_UI.toarray(), [[0, 0, 1, 0], [0, 0, 1, 1]])
    np.testing.assert_array_equal(split.validation_UI.toarray(), [[1, 0, 0, 0], [0, 1, 0, 0]])
    np.testing.assert_array_equal(split.test_UI.toarray(), [[0, 1, 0, 0], [1, 0, 0, 0]])
    assert [items.tolist() for items in split.history] == [[2], [3, 2]]


def test_interactions_longer_than_their_histories_are_joined(tmp_path: Path) -> None:
    header = "user_id:token\titem_id_list:token_seq\titem_id:token\n"
    write(tmp_path / "T.item2index.gz", "".join(f"item{item}\t{item}\n" for item in range(6)))
    # Histories cut to two items.
    write(tmp_path / "T.train.inter.gz", header + "0\t1 2\t3\n0\t0 1\t2\n0\t0\t1\n1\t5\t4\n")
    write(tmp_path / "T.valid.inter.gz", header + "0\t2 3\t4\n1\t5 4\t0\n")
    write(tmp_path / "T.test.inter.gz", header + "0\t3 4\t5\n1\t4 0\t5\n")
    split = read_interactions("tiny", tmp_path, prefix="T")
    assert [items.tolist() for items in split.history] == [[0, 1, 2, 3], [5, 4]]
    assert split.validation_UI.indices.tolist() == [4, 0]
    assert split.test_UI.indices.tolist() == [5, 5]


def test_users_out_of_order_are_refused(tmp_path: Path) -> None:
    write(tmp_path / "sequences.txt.gz", "2 3 1 2\n")
    with pytest.raises(ValueError, match="users must be 1"):
        read_sequences("tiny", tmp_path)


def ranked(*ranks: int, length: int = 100) -> np.ndarray:
    """One list with hits at these ranks."""
    hits_UK = np.zeros((1, length), dtype=bool)
    hits_UK[0, np.array(ranks) - 1] = True
    return hits_UK


def test_both_ndcg_formulas_by_hand() -> None:
    # Hits at ranks 2 and 30 of a list of 100, 5 relevant items.
    figures = ALL_RANKING.measure(ranked(2, 30), num_relevant_U=np.array([5]))
    gain = 1 / np.log2(3)
    ideal_of_relevant = sum(1 / np.log2(rank + 1) for rank in range(1, 6))
    ideal_of_found = 1 / np.log2(2) + 1 / np.log2(3)
    assert figures["recall@20"].tolist() == [0.2]
    assert figures["ndcg@20"] == pytest.approx(gain / ideal_of_relevant)
    assert figures["ndcg@20 of the list (KGAT)"] == pytest.approx(gain / ideal_of_found)


def test_the_ideal_of_more_than_k_hits_is_cut_at_k() -> None:
    everything = np.ones((1, 100), dtype=bool)
    assert ndcg_of_list(everything, k=20).tolist() == [1.0]
    assert ALL_RANKING.measure(everything, num_relevant_U=np.array([300]))["ndcg@20"] == pytest.approx(1.0)
    assert ndcg_of_list(ranked(25), k=20).tolist() == ndcg_of_list(np.zeros((1, 100), dtype=bool), k=20).tolist() == [0.0]


def kgat_ndcg(found: list[float], k: int) -> float:
    def dcg(gains: list[float]) -> float:
        return sum(gain / np.log2(place + 2) for place, gain in enumerate(gains[:k]))

    best = dcg(sorted(found, reverse=True))
    return dcg(found) / best if best else 0.0


def test_the_ndcg_of_lists_equals_a_slow_reading_of_it_and_is_never_below_the_standard_one() -> None:
    hits_UK = rng().random((50, 100)) < rng().random((50, 1)) * 0.3
    num_relevant_U = np.maximum(hits_UK.sum(axis=1), 1) + rng().integers(0, 40, 50)
    np.testing.assert_allclose(ndcg_of_list(hits_UK, k=20), [kgat_ndcg(list(found.astype(float)), 20) for found in hits_UK])
    assert (ndcg_of_list(hits_UK, k=20) >= ndcg(hits_UK[:, :20], num_relevant_U) - 1e-12).all()


def test_next_item_by_hand() -> None:
    figures = NEXT_ITEM.measure(np.concatenate([ranked(3, length=10), np.zeros((1, 10), dtype=bool)]), num_relevant_U=np.array([1, 1]))
    assert figures["hit_rate@10"].tolist() == [1.0, 0.0]
    np.testing.assert_allclose(figures["ndcg@10"], [0.5, 0.0])


def small(*, validation: bool = False) -> PublishedSplit:
    """Items 0 to 3 by falling popularity; everybody's test is the best unknown one or the last."""
    train_UI = sp.csr_array(np.array([[1, 1, 0, 0, 0, 0], [1, 1, 1, 0, 0, 0], [1, 0, 0, 0, 0, 0]], dtype=np.float32))
    validation_UI = sp.csr_array(np.array([[0, 0, 0, 1, 0, 0], [0, 0, 0, 1, 0, 0], [0, 0, 0, 1, 0, 0]], dtype=np.float32))
    test_UI = sp.csr_array(np.array([[0, 0, 1, 0, 0, 0], [0, 0, 0, 0, 0, 1], [0, 0, 0, 0, 0, 0]], dtype=np.float32))
    return PublishedSplit("small", NEXT_ITEM, train_UI, test_UI, validation_UI if validation else None)


def test_a_question_ranks_what_is_not_known() -> None:
    question = final(small(), rng=rng())
    figures = question.put_to(Popularity().fit(question.inputs, rng=rng()), protocol=NEXT_ITEM)
    # User 0's best unknown item is 2, the answer; user 1 has 3 and 4 before 5, all tied, by position.
    np.testing.assert_allclose(figures["ndcg@10"], [1.0, 1 / np.log2(4)])


def test_the_final_question_knows_the_validation_part_and_the_rehearsal_does_not() -> None:
    split = small(validation=True)
    assert final(split, rng=rng()).known_UI.nnz == split.train_UI.nnz + 3
    assert final(split, rng=rng()).inputs.seen_UI[0, 3] == 1.0
    asked = rehearsal(split, rng=rng())
    assert asked.known_UI is split.train_UI
    assert asked.answer_UI is split.validation_UI


def test_withholding_deals_every_pair_to_one_part() -> None:
    known_UI = sp.csr_array((rng().random((40, 60)) < 0.3).astype(np.float32))
    kept_UI, withheld_UI = withhold(known_UI, share=WITHHELD_SHARE, rng=rng())
    np.testing.assert_array_equal((kept_UI + withheld_UI).toarray(), known_UI.toarray())
    count_U = np.diff(known_UI.indptr)
    np.testing.assert_array_equal(np.diff(withheld_UI.indptr), count_U - (0.8 * count_U).astype(int))
    again_UI, _ = withhold(known_UI, share=WITHHELD_SHARE, rng=rng())
    assert (again_UI != kept_UI).nnz == 0
    other_UI, _ = withhold(known_UI, share=WITHHELD_SHARE, rng=np.random.default_rng(1))
    assert (other_UI != kept_UI).nnz > 0


def test_withholding_leaves_everybody_something() -> None:
    known_UI = sp.csr_array(np.tril(np.ones((5, 5), dtype=np.float32), k=-1))
    kept_UI, _ = withhold(known_UI, share=0.9, rng=rng())
    np.testing.assert_array_equal(np.diff(kept_UI.indptr), np.minimum(np.diff(known_UI.indptr), 1))


def test_a_sample_of_users_is_drawn_by_the_rng() -> None:
    split = small(validation=True)
    first, second = (rehearsal(split, num_users=2, rng=rng()).user_index.tolist() for _ in range(2))
    assert first == second
    assert len(first) == 2


def test_rehearsals_cannot_see_the_test() -> None:
    split = small()
    blind = PublishedSplit(split.name, split.protocol, split.train_UI, sp.csr_array(split.test_UI.shape, dtype=np.float32))
    for left, right in ((rehearsal(split, rng=rng()), rehearsal(blind, rng=rng())),):
        assert (left.known_UI != right.known_UI).nnz == (left.answer_UI != right.answer_UI).nnz == 0


def test_only_the_last_run_asks_the_test() -> None:
    sources = {path.relative_to(BENCHMARKS).as_posix(): path.read_text(encoding="utf-8") for path in BENCHMARKS.rglob("*.py")}
    reads_test = {name for name, text in sources.items() if re.search(r"\.test_UI", text)}
    asks_final = {name for name, text in sources.items() if re.search(r"questions import .*\bfinal\b|\bfinal\(", text)}
    assert reads_test == {"published/questions.py"}
    assert sources["published/questions.py"].count(".test_UI") == 1, "only `final` may read it"
    assert asks_final == {"published/questions.py", "quality.py"}
