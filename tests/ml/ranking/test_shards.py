"""Shards: killed at any moment, torn, or of other work, the table is that of an undisturbed run."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from ml.graph.interest_graph import InterestGraph
from ml.ids import Vocabulary
from ml.ranking.explain import Explainer
from ml.ranking.names import Names
from ml.ranking.recommend import recommend
from ml.ranking.rungs import personal_rung, popular_rung
from ml.ranking.shards import Shards

REPOSITORY = Path(__file__).resolve().parents[3]
IDS = pa.array([f"u{number:02d}" for number in range(10)] + ["用户", "名前"])


def squares(ids: pa.Array) -> pa.Table:
    return pa.table({"id": ids, "length": pa.array([len(identifier) ** 2 for identifier in ids.to_pylist()])})


class Maker:
    """Makes a table of ids; counts what it made; dies at the shard that holds `die_at`."""

    def __init__(self, *, die_at: str | None = None) -> None:
        self.made: list[list[str]] = []
        self.die_at = die_at

    def __call__(self, ids: pa.Array, progress) -> pa.Table:
        if self.die_at in ids.to_pylist():
            raise KeyboardInterrupt
        self.made.append(ids.to_pylist())
        if progress is not None:
            progress(len(ids), len(ids))
        return squares(ids)


def test_in_shards_is_as_in_one_piece(tmp_path) -> None:
    maker, told = Maker(), []
    table = Shards(tmp_path, fingerprint="f", size=5).each(IDS, make=maker, progress=lambda *counts: told.append(counts))
    assert table.equals(squares(IDS))
    assert [len(ids) for ids in maker.made] == [5, 5, 2]
    assert told == [(5, 12), (10, 12), (12, 12)]


def test_a_run_that_died_goes_on_where_it_was(tmp_path) -> None:
    shards = Shards(tmp_path, fingerprint="f", size=5)
    with pytest.raises(KeyboardInterrupt):
        shards.each(IDS, make=Maker(die_at="u07"))
    second, told = Maker(), []
    assert shards.each(IDS, make=second, progress=lambda *counts: told.append(counts)).equals(squares(IDS))
    assert second.made == [IDS.to_pylist()[5:10], IDS.to_pylist()[10:]]
    assert told[0] == (5, 12)


@pytest.mark.parametrize("other", [{"fingerprint": "g", "size": 5}, {"fingerprint": "f", "size": 4}])
def test_other_work_starts_anew_and_leaves_nothing_of_the_old(tmp_path, other) -> None:
    Shards(tmp_path, fingerprint="f", size=5).each(IDS, make=Maker())
    maker = Maker()
    Shards(tmp_path, **other).each(IDS, make=maker)
    assert sum(map(len, maker.made)) == len(IDS)
    assert len(list(tmp_path.iterdir())) == 1


def test_other_ids_start_anew(tmp_path) -> None:
    shards = Shards(tmp_path, fingerprint="f", size=5)
    shards.each(pa.array(["ab", "c"]), make=Maker())
    maker = Maker()
    assert shards.each(pa.array(["a", "bc"]), make=maker).column("id").to_pylist() == ["a", "bc"]
    assert maker.made == [["a", "bc"]]


@pytest.mark.parametrize("harm", ["flip", "cut", "no parquet", "no seal", "torn seal"])
def test_a_shard_that_is_not_what_was_written_is_made_again(tmp_path, harm) -> None:
    shards = Shards(tmp_path, fingerprint="f", size=5)
    shards.each(IDS, make=Maker())
    file = next(tmp_path.rglob("shard-000001.parquet"))
    seal = file.with_suffix(".json")
    content = bytearray(file.read_bytes())
    if harm == "flip":
        content[len(content) // 2] ^= 1
        file.write_bytes(content)
    elif harm == "cut":
        file.write_bytes(content[:-7])
    elif harm == "no parquet":
        file.unlink()
    elif harm == "no seal":
        seal.unlink()
    else:
        seal.write_text("{")
    maker = Maker()
    assert shards.each(IDS, make=maker).equals(squares(IDS))
    assert maker.made == [IDS.to_pylist()[5:10]]


def test_nobody_gives_an_empty_table_with_its_columns(tmp_path) -> None:
    table = Shards(tmp_path, fingerprint="f", size=5).each(pa.array([], pa.string()), make=Maker())
    assert table.num_rows == 0
    assert table.column_names == ["id", "length"]


def test_shards_of_nobody_are_refused(tmp_path) -> None:
    with pytest.raises(ValueError, match="got size 0"):
        Shards(tmp_path, fingerprint="f", size=0)


def recommended(directory: Path | None, *, die_at: int | None = None) -> pa.Table:
    """Recommendations of 60 users on two rungs, in shards of 8; killed by SIGKILL once that many users are ranked."""
    rng = np.random.default_rng(5)
    users, items = Vocabulary("user", [f"u{n:02d}" for n in range(60)]), Vocabulary("item", [f"i{n:03d}" for n in range(300)])
    vectors_UD, vectors_ID = rng.normal(size=(60, 8)).astype(np.float32), rng.normal(size=(300, 8)).astype(np.float32)
    rungs = [
        personal_rung(lambda rows: vectors_UD[rows] @ vectors_ID.T, users=users, items=items, num_likes_U=rng.integers(0, 2, 60)),
        popular_rung(users, items=items, popularity_I=rng.normal(size=300).astype(np.float32)),
    ]

    def progress(done: int, _total: int) -> None:
        if die_at is not None and done >= die_at:
            os.kill(os.getpid(), signal.SIGKILL)

    names = Names.from_tables(
        items=pa.table({"item_id": items.ids, "title": items.ids}),
        interest_points=pa.table({"interest_id": pa.array([], pa.string()), "name": pa.array([], pa.string())}),
        knowledge_graph=pa.table({name: pa.array([], pa.string()) for name in ("tail", "tail_name", "tail_type")}),
    )
    vocabularies = {"user": users, "item": items, "interest": Vocabulary("interest", []), "entity": Vocabulary("entity", [])}
    seen = pa.table({"user_id": users.take(rng.integers(0, 60, 200)), "item_id": items.take(rng.integers(0, 300, 200))})
    return recommend(
        users,
        rungs=rungs,
        seen=seen,
        explainer=Explainer(InterestGraph(vocabularies, {}), names=names, language="en"),
        release_id="r1",
        k=5,
        block_size=4,
        shards=Shards(directory, fingerprint="f", size=8) if directory else None,
        progress=progress,
    )


def test_recommendations_killed_again_and_again_are_the_same_bytes(tmp_path) -> None:
    program = (
        "import sys; from pathlib import Path; from tests.ml.ranking.test_shards import recommended\n"
        "recommended(Path(sys.argv[1]), die_at=int(sys.argv[2]))"
    )
    for die_at, finished in ((20, 2), (41, 5)):
        child = subprocess.run([sys.executable, "-c", program, str(tmp_path / "killed"), str(die_at)], cwd=REPOSITORY, check=False)
        assert child.returncode == -signal.SIGKILL
        assert len(list((tmp_path / "killed").rglob("shard-*.json"))) == finished
    kept = {path: path.stat().st_mtime_ns for path in (tmp_path / "killed").rglob("shard-*.parquet")}
    for name, table in (("resumed", recommended(tmp_path / "killed")), ("undisturbed", recommended(tmp_path / "fresh"))):
        pq.write_table(table, tmp_path / name)
    assert (tmp_path / "resumed").read_bytes() == (tmp_path / "undisturbed").read_bytes()
    assert all(path.stat().st_mtime_ns == modified for path, modified in kept.items())


def test_shards_change_no_row(tmp_path) -> None:
    whole, sharded = recommended(None), recommended(tmp_path)
    for name in ("user_id", "rank", "item_id", "rung", "reason", "path"):
        assert whole.column(name).to_pylist() == sharded.column(name).to_pylist()
    np.testing.assert_allclose(whole.column("score"), sharded.column("score"), rtol=1e-5)
    assert set(whole.column("rung").to_pylist()) == {"personal", "popular"}
