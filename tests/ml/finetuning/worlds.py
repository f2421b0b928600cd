"""A catalogue in two languages that no model knows: each title says in one what its description says in the other."""

from datetime import UTC, datetime
from pathlib import Path

import pyarrow as pa

from ml.config.pipeline import EvaluationConfig, FinetuningConfig, TextConfig
from ml.contracts.behaviour import INTERACTIONS, USER_TEXTS
from ml.finetuning.pairs import Sources
from tests.ml.interests.catalogues import make_items
from tests.ml.text.tiny_models import write_tiny_model

NUM_WORDS = 10
AS_OF = datetime(2026, 3, 1, tzinfo=UTC)
EVALUATION = EvaluationConfig(num_bootstrap=200)
FINETUNING = FinetuningConfig(
    enabled=True,
    pair_kinds=("title_text",),
    min_pairs=20,
    min_held_out_pairs=5,
    held_out_share=0.15,
    epochs=30,
    patience=30,
    batch_size=20,
    learning_rate=5e-3,
    new_token_learning_rate=3e-2,
    min_token_texts=1,
)


def translated(num_words: int = NUM_WORDS) -> pa.Table:
    """Items titled with a pair of words, described with the two words that translate them."""
    words = [(first, second) for first in range(num_words) for second in range(num_words)]
    return make_items(
        [
            {"item_id": f"i{first}-{second}", "title": f"uno{first}x due{second}x", "text": f"one{first}x two{second}x"}
            for first, second in words
        ]
    )


def sources(items: pa.Table | None = None, *, interactions: pa.Table | None = None, user_texts: pa.Table | None = None) -> Sources:
    """Tables of which any may be left out."""
    return Sources(
        translated() if items is None else items,
        INTERACTIONS.empty() if interactions is None else interactions,
        USER_TEXTS.empty() if user_texts is None else user_texts,
    )


def tiny_text(folder: Path) -> TextConfig:
    """Settings of a tiny model written below `folder`."""
    return TextConfig(
        model=str(write_tiny_model(folder / "tiny", hidden_size=32)), revision="", max_tokens=32, device="cpu", dtype="float32"
    )
