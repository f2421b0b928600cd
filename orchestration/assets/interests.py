"""Named interest points, and how much of them items and users hold."""

import dagster as dg
import pyarrow as pa

from ml.contracts.meaning import INTEREST_POINTS, ITEM_INTERESTS, USER_INTERESTS
from ml.graph.picture import interest_map
from ml.interests.points import find_interests
from ml.interests.profiles import weigh_user_interests
from orchestration.metadata import png
from orchestration.scope import Scope
from orchestration.table_assets import DayRun, Made, day_assets

GROUP = "interests"
KINDS = {"python", "parquet"}


def interest_assets(scope: Scope) -> list[dg.AssetsDefinition]:
    """Interest points with their items, then users' weights on them."""
    config = scope.config.interests
    language = scope.dataset.language

    @day_assets(
        scope,
        INTEREST_POINTS.name,
        ITEM_INTERESTS.name,
        group=GROUP,
        kinds=KINDS,
        settings=(config, language),
        needed_by_full_fits=True,
    )
    def interests(run: DayRun, items: pa.Table, item_embeddings: pa.Table) -> tuple[Made, Made]:
        points, item_interests = find_interests(items, item_embeddings=item_embeddings, config=config, language=language)
        return Made(points, {"map": png(interest_map(points))} if run.is_newest else {}), Made(item_interests)

    @day_assets(scope, USER_INTERESTS.name, group=GROUP, kinds=KINDS, settings=config)
    def user_interests(run: DayRun, interactions: pa.Table, item_interests: pa.Table) -> Made:
        return Made(weigh_user_interests(interactions, item_interests=item_interests, config=config, as_of=run.as_of))

    return [interests, user_interests]
