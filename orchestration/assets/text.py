"""Texts become vectors: items and what users wrote themselves."""

import dagster as dg
import pyarrow as pa

from ml.config.pipeline import TextConfig
from ml.contracts.meaning import ITEM_EMBEDDINGS, REVIEW_SIGNALS, REVIEWER_SIGNALS, USER_TEXT_EMBEDDINGS
from ml.finetuning.choice import EncoderChoice
from ml.reviews.signals import in_order, judge_reviews
from ml.text.cache import EmbeddingResult, embed
from ml.text.encoder import Encoder
from ml.text.items import embed_items, item_texts
from ml.text.users import embed_user_texts
from ml.words.language import language_shares
from orchestration.encoders import open_encoder
from orchestration.scope import Scope
from orchestration.table_assets import DayRun, Made, day_assets

GROUP = "text"
KINDS = {"python", "torch", "parquet"}
SECONDS_PER_HOUR = 3600.0


def text_assets(scope: Scope) -> list[dg.AssetsDefinition]:
    """Item and user text embeddings, cached by content; what reviews say, and how far they can be trusted."""
    config = scope.config.text

    @day_assets(scope, ITEM_EMBEDDINGS.name, group=GROUP, kinds=KINDS, settings=(config, scope.model_content), needed_by_full_fits=True)
    def item_embeddings(run: DayRun, items: pa.Table, encoder: EncoderChoice) -> Made:
        model, cache = open_encoder(scope, encoder)
        table, result = embed_items(items, encoder=model, cache=cache, progress=run.progress("item texts"))
        shares = ", ".join(f"{name} {share:.1%}" for name, share in language_shares(item_texts(items)).items())
        return Made(table, embedding_metadata(model, result, config=config) | {"languages": shares or "no items"})

    @day_assets(scope, USER_TEXT_EMBEDDINGS.name, group=GROUP, kinds=KINDS, settings=(config, scope.model_content))
    def user_text_embeddings(run: DayRun, user_texts: pa.Table, encoder: EncoderChoice) -> Made:
        model, cache = open_encoder(scope, encoder)
        table, result = embed_user_texts(
            user_texts,
            encoder=model,
            cache=cache,
            as_of=run.as_of,
            half_life_days=config.user_text_half_life_days,
            progress=run.progress("user texts"),
        )
        return Made(table, embedding_metadata(model, result, config=config))

    @day_assets(
        scope,
        REVIEW_SIGNALS.name,
        REVIEWER_SIGNALS.name,
        group=GROUP,
        kinds=KINDS,
        settings=(config, scope.model_content, scope.config.reviews, scope.dataset.language),
        needed_by_full_fits=True,
    )
    def review_signals(run: DayRun, reviews: pa.Table, interactions: pa.Table, encoder: EncoderChoice) -> tuple[Made, Made]:
        model, cache = open_encoder(scope, encoder)
        known = in_order(reviews, as_of=run.as_of)
        result = embed(known.column("text").to_pylist(), encoder=model, cache=cache, progress=run.progress("review texts"))
        found = judge_reviews(
            known,
            vectors_RD=result.vectors_ND,
            interactions=interactions,
            language=scope.dataset.language,
            config=scope.config.reviews,
            as_of=run.as_of,
        )
        return Made(found.reviews, embedding_metadata(model, result, config=config)), Made(found.reviewers)

    return [item_embeddings, user_text_embeddings, review_signals]


def embedding_metadata(encoder: Encoder, result: EmbeddingResult, *, config: TextConfig) -> dict[str, str | int | float]:
    """Which space, what was encoded and what was reused, how fast, at what cost, and how much was not read."""
    found: dict[str, str | int | float] = {
        "space": encoder.space.space_id,
        "model": encoder.space.model,
        "revision": encoder.space.revision,
        "pooling": encoder.space.pooling,
        "encoded": result.num_encoded,
        "cached": result.num_reused,
        "share of texts cut off": result.cut_share,
        "seconds": result.seconds,
    }
    if not result.num_encoded:
        return found
    hours_anew = result.seconds / result.num_encoded * (result.num_encoded + result.num_reused) / SECONDS_PER_HOUR
    return found | {
        "texts per second": result.num_encoded / result.seconds,
        "tokens per second": result.num_tokens / result.seconds,
        "cost": result.seconds / SECONDS_PER_HOUR * config.price_per_hour,
        "hours to encode all anew (estimate)": hours_anew,
        "cost to encode all anew (estimate)": hours_anew * config.price_per_hour,
    }
