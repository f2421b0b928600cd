"""Texts become vectors: items and what users wrote themselves."""

import dagster as dg
import pyarrow as pa

from ml.contracts.meaning import ITEM_EMBEDDINGS, USER_TEXT_EMBEDDINGS
from ml.days import as_of
from ml.text.cache import EmbeddingCache, EmbeddingResult
from ml.text.encoder import Encoder, load_encoder
from ml.text.items import embed_items
from ml.text.users import embed_user_texts
from orchestration.progress import logged_progress
from orchestration.scope import Scope
from orchestration.table_assets import partition_day, table_asset

GROUP = "text"
KINDS = {"python", "torch", "parquet"}


def text_assets(scope: Scope) -> list[dg.AssetsDefinition]:
    """Item and user text embeddings, cached by content."""
    config = scope.config.text

    @table_asset(scope, ITEM_EMBEDDINGS, group=GROUP, kinds=KINDS)
    def item_embeddings(context: dg.AssetExecutionContext, items: pa.Table) -> dg.Output[pa.Table]:
        encoder, cache = open_encoder(scope)
        table, result = embed_items(items, encoder=encoder, cache=cache, progress=logged_progress(context.log.info, "item texts"))
        return dg.Output(table, metadata=embedding_metadata(encoder, result))

    @table_asset(scope, USER_TEXT_EMBEDDINGS, group=GROUP, kinds=KINDS)
    def user_text_embeddings(context: dg.AssetExecutionContext, user_texts: pa.Table) -> dg.Output[pa.Table]:
        encoder, cache = open_encoder(scope)
        table, result = embed_user_texts(
            user_texts,
            encoder=encoder,
            cache=cache,
            as_of=as_of(partition_day(context)),
            half_life_days=config.user_text_half_life_days,
            progress=logged_progress(context.log.info, "user texts"),
        )
        return dg.Output(table, metadata=embedding_metadata(encoder, result))

    return [item_embeddings, user_text_embeddings]


def open_encoder(scope: Scope) -> tuple[Encoder, EmbeddingCache]:
    """The profile's encoder and the dataset's cache of its space."""
    encoder = load_encoder(scope.config.text)
    return encoder, EmbeddingCache(scope.home.embedding_cache, space=encoder.space)


def embedding_metadata(encoder: Encoder, result: EmbeddingResult) -> dict[str, str | int | float]:
    """Which space, what was encoded and what was reused."""
    return {
        "space": encoder.space.space_id,
        "model": encoder.space.model,
        "revision": encoder.space.revision,
        "pooling": encoder.space.pooling,
        "encoded": result.num_encoded,
        "reused": result.num_reused,
        "seconds": result.seconds,
    }
