"""Named interest points, and how much of them items, users' own texts and users hold."""

from collections.abc import Sequence
from functools import partial

import dagster as dg
import pyarrow as pa

from ml.contracts.meaning import INTEREST_POINTS, ITEM_INTERESTS, TEXT_INTERESTS, USER_INTERESTS
from ml.finetuning.choice import EncoderChoice
from ml.graph.picture import interest_map
from ml.ids import FloatArray
from ml.interests.own_texts import find_text_interests, in_order
from ml.interests.points import find_interests
from ml.interests.profiles import weigh_user_interests
from ml.reviews.weighing import weigh_interactions, weigh_text_interests
from ml.text.cache import embed_readable
from orchestration.assets.text import embedding_metadata
from orchestration.encoders import open_encoder
from orchestration.metadata import png
from orchestration.scope import Scope
from orchestration.table_assets import DayRun, Made, day_assets

GROUP = "interests"
KINDS = {"python", "parquet"}


def interest_assets(scope: Scope) -> list[dg.AssetsDefinition]:
    """Interest points with their items, what users' own texts say of them, then users' weights on them."""
    config, reviews = scope.config.interests, scope.config.reviews
    language = scope.dataset.language

    @day_assets(
        scope,
        INTEREST_POINTS.name,
        ITEM_INTERESTS.name,
        group=GROUP,
        kinds=KINDS,
        settings=(config, language, scope.config.text, scope.model_content),
        needed_by_full_fits=True,
    )
    def interests(run: DayRun, items: pa.Table, item_embeddings: pa.Table, encoder: EncoderChoice) -> tuple[Made, Made]:
        points, item_interests = find_interests(
            items, item_embeddings=item_embeddings, config=config, language=language, name_vectors=partial(_name_vectors, scope, encoder)
        )
        return Made(points, {"map": png(interest_map(points))} if run.is_newest else {}), Made(item_interests)

    @day_assets(
        scope,
        TEXT_INTERESTS.name,
        group=GROUP,
        kinds=KINDS,
        settings=(config, language, scope.config.text, scope.model_content),
        needed_by_full_fits=True,
    )
    def text_interests(
        run: DayRun, user_texts: pa.Table, interest_points: pa.Table, review_signals: pa.Table, encoder: EncoderChoice
    ) -> Made:
        model, cache = open_encoder(scope, encoder)
        known = in_order(user_texts, config=config, as_of=run.as_of)
        result = embed_readable(known.column("text").to_pylist(), encoder=model, cache=cache, progress=run.progress("own texts"))
        table = find_text_interests(
            known,
            vectors_ND=result.vectors_ND,
            space_id=model.space.space_id,
            interest_points=interest_points,
            review_signals=review_signals,
            language=language,
            config=config,
        )
        return Made(table, embedding_metadata(model, result, config=scope.config.text))

    @day_assets(scope, USER_INTERESTS.name, group=GROUP, kinds=KINDS, settings=(config, reviews))
    def user_interests(
        run: DayRun,
        interactions: pa.Table,
        item_interests: pa.Table,
        text_interests: pa.Table,
        review_signals: pa.Table,
        reviewer_signals: pa.Table,
    ) -> Made:
        weighed = weigh_interactions(
            interactions, review_signals=review_signals, reviewer_signals=reviewer_signals, config=reviews, as_of=run.as_of
        )
        said = weigh_text_interests(text_interests, reviewer_signals=reviewer_signals, config=reviews)
        return Made(weigh_user_interests(weighed, item_interests=item_interests, text_interests=said, config=config, as_of=run.as_of))

    return [interests, text_interests, user_interests]


def _name_vectors(scope: Scope, choice: EncoderChoice, names: Sequence[str]) -> FloatArray:
    """Names in the space of the items' texts, each encoded once and remembered."""
    encoder, cache = open_encoder(scope, choice)
    return embed_readable(names, encoder=encoder, cache=cache).vectors_ND
