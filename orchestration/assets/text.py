"""Texts become vectors: items and what users wrote themselves."""

from functools import cache

import dagster as dg
import pyarrow as pa

from ml.config.pipeline import TextConfig
from ml.contracts.meaning import ITEM_EMBEDDINGS, USER_TEXT_EMBEDDINGS
from ml.text.cache import EmbeddingCache, EmbeddingResult
from ml.text.encoder import Encoder, load_encoder
from ml.text.items import embed_items
from ml.text.users import embed_user_texts
from orchestration.scope import Scope
from orchestration.table_assets import DayRun, Made, day_assets

GROUP = "text"
KINDS = {"python", "torch", "parquet"}


def text_assets(scope: Scope) -> list[dg.AssetsDefinition]:
    """Item and user text embeddings, cached by content."""
    config = scope.config.text

    @day_assets(scope, ITEM_EMBEDDINGS.name, group=GROUP, kinds=KINDS, settings=config, needed_by_full_fits=True)
    def item_embeddings(run: DayRun, items: pa.Table) -> Made:
        encoder, cache = open_encoder(scope)
        table, result = embed_items(items, encoder=encoder, cache=cache, progress=run.progress("item texts"))
        return Made(table, embedding_metadata(encoder, result))

    @day_assets(scope, USER_TEXT_EMBEDDINGS.name, group=GROUP, kinds=KINDS, settings=config)
    def user_text_embeddings(run: DayRun, user_texts: pa.Table) -> Made:
        encoder, cache = open_encoder(scope)
        table, result = embed_user_texts(
            user_texts,
            encoder=encoder,
            cache=cache,
            as_of=run.as_of,
            half_life_days=config.user_text_half_life_days,
            progress=run.progress("user texts"),
        )
        return Made(table, embedding_metadata(encoder, result))

    return [item_embeddings, user_text_embeddings]


@cache
def loaded_encoder(config: TextConfig) -> Encoder:
    """The profile's encoder; a process loads its weights once, however many days it embeds."""
    return load_encoder(config)


def open_encoder(scope: Scope) -> tuple[Encoder, EmbeddingCache]:
    """The profile's encoder and the dataset's cache of its space."""
    encoder = loaded_encoder(scope.config.text)
    return encoder, EmbeddingCache(scope.home.embedding_cache, space=encoder.space)


def embedding_metadata(encoder: Encoder, result: EmbeddingResult) -> dict[str, str | int | float]:
    """Which space, what was encoded and what was reused."""
    return {
        "space": encoder.space.space_id,
        "model": encoder.space.model,
        "revision": encoder.space.revision,
        "pooling": encoder.space.pooling,
        "encoded": result.num_encoded,
        "cached": result.num_reused,
        "seconds": result.seconds,
    }
