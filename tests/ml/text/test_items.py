"""Item texts in literal words, and the item_embeddings table."""

import pyarrow as pa
import pytest
from numpy.testing import assert_allclose

from ml.contracts.behaviour import ITEMS
from ml.contracts.vectors import vectors_to_matrix
from ml.text.cache import EmbeddingCache, hash_texts
from ml.text.items import embed_items, item_texts


def items(*rows: dict) -> pa.Table:
    filled = [{"title": "", "text": None, "category": None, "tags": []} | row for row in rows]
    return pa.Table.from_pylist(
        filled, schema=pa.schema([ITEMS.schema.field(name) for name in ("item_id", "title", "text", "category", "tags")])
    )


@pytest.mark.parametrize(
    ("row", "expected"),
    [
        ({"title": "Trail boot"}, "Trail boot"),
        (
            {"title": "Trail boot", "text": "Light and dry.", "category": "Shoes > Outdoor", "tags": ["hiking", "rain"]},
            "Trail boot\nShoes > Outdoor\nhiking, rain\nLight and dry.",
        ),
        ({"title": "Trail boot", "tags": ["Hiking", "rain", "hiking", "", " ", "trail BOOT"]}, "Trail boot\nHiking, rain"),
        ({"title": "Boot", "category": "Shoes > Outdoor", "tags": ["outdoor", "shoes", "dry"]}, "Boot\nShoes > Outdoor\ndry"),
        ({"title": "Shoes", "category": "shoes", "tags": []}, "Shoes"),
        ({"title": "徒步靴", "text": "防水。", "category": "鞋 > 户外", "tags": ["登山", "登山"]}, "徒步靴\n鞋 > 户外\n登山\n防水。"),
        ({"title": "", "text": "  "}, ""),
        ({"title": "", "tags": [None, "dry"]}, "dry"),
        ({"title": " Boot ", "text": " x\n"}, "Boot\nx"),
    ],
)
def test_text_of_an_item(row, expected) -> None:
    assert item_texts(items({"item_id": "i"} | row)).to_pylist() == [expected]


def test_texts_keep_the_order_of_the_items_and_their_own_tags() -> None:
    rows = [{"item_id": str(number), "title": f"t{number}", "tags": ["b", "a", f"own{number}"]} for number in range(50, 0, -1)]
    assert item_texts(items(*rows)).to_pylist() == [f"t{number}\nb, a, own{number}" for number in range(50, 0, -1)]


def test_order_holds_in_a_catalogue_too_large_for_one_thread() -> None:
    numbers = range(70_000)
    table = pa.table(
        {
            "title": [f"t{number}" for number in numbers],
            "text": pa.nulls(len(numbers), pa.string()),
            "category": pa.nulls(len(numbers), pa.string()),
            "tags": [[f"Z{number % 7}", f"z{number % 7}", "a"] for number in numbers],
        }
    )
    assert item_texts(table).to_pylist() == [f"t{number}\nZ{number % 7}, a" for number in numbers]


def test_chunked_and_empty_tables() -> None:
    one = items({"item_id": "b", "title": "B", "tags": ["x"]})
    two = items({"item_id": "a", "title": "A", "tags": ["y"]})
    assert item_texts(pa.concat_tables([one, two])).to_pylist() == ["B\nx", "A\ny"]
    assert item_texts(items()).to_pylist() == []


def test_embeddings_are_by_item_id_with_hash_and_space(tmp_path, hash_encoder) -> None:
    encoder = hash_encoder()
    cache = EmbeddingCache(tmp_path, space=encoder.space)
    table, result = embed_items(
        items({"item_id": "b", "title": "Same"}, {"item_id": "a", "title": "Same"}, {"item_id": "c", "title": "Other"}),
        encoder=encoder,
        cache=cache,
    )
    assert table.column("item_id").to_pylist() == ["a", "b", "c"]
    assert (result.num_encoded, result.num_reused) == (2, 0)
    assert set(table.column("space_id").to_pylist()) == {encoder.space.space_id}
    assert table.column("text_hash").to_pylist() == hash_texts(["Same", "Same", "Other"]).to_pylist()
    assert_allclose(vectors_to_matrix(table.column("vector")), hash_encoder().encode(["Same", "Same", "Other"]).vectors_ND)


def test_no_items_give_an_empty_table(tmp_path, hash_encoder) -> None:
    encoder = hash_encoder()
    table, _ = embed_items(items(), encoder=encoder, cache=EmbeddingCache(tmp_path, space=encoder.space))
    assert table.num_rows == 0


def test_real_model_puts_like_items_together(tmp_path, minilm) -> None:
    table, _ = embed_items(
        items(
            {"item_id": "a", "title": "Trail boot", "tags": ["hiking"], "text": "For long walks in the mountains."},
            {"item_id": "b", "title": "Walking shoe", "tags": ["hiking"], "text": "Grips on wet rock."},
            {"item_id": "c", "title": "Pasta book", "tags": ["cooking"], "text": "A hundred recipes from Bologna."},
        ),
        encoder=minilm,
        cache=EmbeddingCache(tmp_path, space=minilm.space),
    )
    boot, shoe, pasta = vectors_to_matrix(table.column("vector"))
    assert boot @ shoe > boot @ pasta + 0.2
