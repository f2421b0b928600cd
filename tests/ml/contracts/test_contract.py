"""A contract refuses what it must and says all of it; the store is whole or absent."""

from datetime import UTC, date, datetime

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from ml.contracts import CONTRACTS, check_no_leakage
from ml.contracts.contract import FLOAT, STRING, TIMESTAMP, Column, TableContract
from ml.contracts.manifest import Recipe
from ml.contracts.store import TableStore
from ml.contracts.vectors import matrix_to_vectors, vectors_to_matrix
from ml.errors import ContractError, LeakageError, MissingTableError, TornTableError

SCORES = TableContract(
    name="scores",
    layer="output",
    grain="daily",
    row="item",
    key=("item_id",),
    columns=(Column("item_id", STRING, "item"), Column("score", FLOAT, "score"), Column("note", STRING, "note", nullable=True)),
)


def scores(ids: list[str | None], values: list[float | None]) -> pa.Table:
    return pa.table({"score": values, "item_id": pa.array(ids, pa.string()), "note": pa.nulls(len(ids)), "extra": [1] * len(ids)})


def test_conform_orders_casts_and_drops_extra_columns() -> None:
    conformed = SCORES.conform(scores(["a", "b"], [1, 2]))
    assert conformed.schema.equals(SCORES.schema)
    assert conformed.column("score").to_pylist() == [1.0, 2.0]


def test_conform_names_every_failure_at_once() -> None:
    with pytest.raises(ContractError) as caught:
        SCORES.conform(scores(["a", "a", None], [1.0, None, 3.0]))
    assert caught.value.table == "scores"
    assert caught.value.failures == (
        "column item_id holds 1 null(s)",
        "column score holds 1 null(s)",
        "key (item_id) repeats in 1 row(s)",
    )


def test_missing_column_names_what_was_found() -> None:
    with pytest.raises(ContractError, match="column score is missing; found item_id"):
        SCORES.conform(pa.table({"item_id": ["a"], "note": ["x"]}))


def test_a_cast_that_loses_data_is_refused() -> None:
    with pytest.raises(ContractError):
        SCORES.conform(pa.table({"item_id": ["a"], "score": ["not a number"], "note": ["x"]}))


def test_every_declared_contract_accepts_its_own_empty_table() -> None:
    for contract in CONTRACTS.values():
        assert contract.conform(contract.empty()).num_rows == 0
        assert set(contract.key) <= {column.name for column in contract.columns}


def test_leakage_is_counted_and_dated() -> None:
    moment = datetime(2026, 1, 2, tzinfo=UTC)
    table = pa.table({"event_at": pa.array([datetime(2026, 1, 1, 23, tzinfo=UTC), moment], TIMESTAMP)})
    check_no_leakage(table.slice(0, 1), name="events", column="event_at", as_of=moment)
    with pytest.raises(LeakageError) as caught:
        check_no_leakage(table, name="events", column="event_at", as_of=moment)
    assert (caught.value.num_rows, caught.value.latest) == (1, moment)


def test_history_reads_through_a_day_and_no_further(tmp_path) -> None:
    store = TableStore(tmp_path)
    for number in (1, 2, 3):
        store.write(SCORES, scores([f"i{number}"], [float(number)]), day=date(2026, 1, number))
    history = store.read_history(SCORES, through=date(2026, 1, 2))
    assert history.column("item_id").to_pylist() == ["i1", "i2"]
    assert store.read_history(SCORES, through=date(2026, 1, 3), since=date(2026, 1, 3)).num_rows == 1


def test_a_missing_partition_says_what_exists(tmp_path) -> None:
    store = TableStore(tmp_path)
    with pytest.raises(MissingTableError, match="nothing is written yet"):
        store.read(SCORES, day=date(2026, 1, 1))
    store.write(SCORES, SCORES.empty(), day=date(2026, 1, 1))
    with pytest.raises(MissingTableError, match="written: 2026-01-01 to 2026-01-01"):
        store.read_history(SCORES, through=date(2026, 1, 2))


def test_a_refused_write_leaves_the_old_partition(tmp_path) -> None:
    store = TableStore(tmp_path)
    day = date(2026, 1, 1)
    path = store.write(SCORES, scores(["a"], [1.0]), day=day)
    with pytest.raises(ContractError):
        store.write(SCORES, scores(["a", "a"], [1.0, 2.0]), day=day)
    assert pq.read_table(path).num_rows == 1
    assert sorted(entry.name for entry in path.parent.iterdir()) == [f"{day}.json", f"{day}.parquet"]


def test_a_changed_byte_is_named_and_an_unsealed_partition_counts_as_never_made(tmp_path) -> None:
    store, day = TableStore(tmp_path), date(2026, 1, 1)
    recipe = Recipe("v", {"a": "1"})
    path = store.write(SCORES, scores(["a"], [1.0]), day=day, recipe=recipe)
    assert store.is_made_from("scores", recipe, day=day)
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    assert not store.is_whole("scores", day=day)
    with pytest.raises(TornTableError, match="is not as it was written; delete it"):
        store.read_as_of(SCORES, day=day, since=day)
    store.unseal("scores", day=day)
    assert not store.is_made_from("scores", recipe, day=day)


def test_vectors_round_trip_and_empty() -> None:
    matrix = np.arange(6, dtype=np.float32).reshape(2, 3)
    assert np.array_equal(vectors_to_matrix(matrix_to_vectors(matrix)), matrix)
    assert vectors_to_matrix(matrix_to_vectors(np.zeros((0, 3), np.float32))).shape == (0, 0)
