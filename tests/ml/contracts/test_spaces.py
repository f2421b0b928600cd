"""One table, one embedding space."""

import pyarrow as pa
import pytest

from ml.contracts.meaning import ITEM_EMBEDDINGS
from ml.contracts.spaces import require_same_space, space_of
from ml.errors import ContractError, EmbeddingSpaceError


def test_the_space_of_a_table_is_its_one_id() -> None:
    assert space_of(pa.table({"space_id": ["a", "a"]}), name="item_embeddings") == "a"
    assert space_of(ITEM_EMBEDDINGS.empty(), name="item_embeddings") is None


def test_a_table_of_two_spaces_is_refused() -> None:
    with pytest.raises(EmbeddingSpaceError, match="a and b"):
        space_of(pa.table({"space_id": ["b", "a"]}), name="item_embeddings")


def test_a_row_without_a_space_is_refused() -> None:
    with pytest.raises(ContractError, match=r"item_embeddings.*null"):
        space_of(pa.table({"space_id": ["b", None]}), name="item_embeddings")


def test_same_space_passes_and_another_raises() -> None:
    require_same_space("a", "a")
    with pytest.raises(EmbeddingSpaceError):
        require_same_space("a", "b")
