"""Named interest points, and how much of them items and users hold."""

import dagster as dg
import pyarrow as pa

from ml.contracts.meaning import INTEREST_POINTS, ITEM_INTERESTS, USER_INTERESTS
from ml.days import as_of
from ml.graph.picture import interest_map
from ml.interests.points import find_interests
from ml.interests.profiles import weigh_user_interests
from orchestration.metadata import png
from orchestration.scope import Scope
from orchestration.table_assets import partition_day, table_asset, table_assets

GROUP = "interests"
KINDS = {"python", "parquet"}


def interest_assets(scope: Scope) -> list[dg.AssetsDefinition]:
    """Interest points with their items, then users' weights on them."""
    config = scope.config.interests

    @table_assets(scope, (INTEREST_POINTS, ITEM_INTERESTS), name="interests", group=GROUP, kinds=KINDS)
    def interests(items: pa.Table, item_embeddings: pa.Table) -> tuple[dg.Output[pa.Table], dg.Output[pa.Table]]:
        points, item_interests = find_interests(items, item_embeddings=item_embeddings, config=config, language=scope.dataset.language)
        return dg.Output(points, metadata={"map": png(interest_map(points))}), dg.Output(item_interests)

    @table_asset(scope, USER_INTERESTS, group=GROUP, kinds=KINDS)
    def user_interests(context: dg.AssetExecutionContext, interactions: pa.Table, item_interests: pa.Table) -> pa.Table:
        return weigh_user_interests(interactions, item_interests=item_interests, config=config, as_of=as_of(partition_day(context)))

    return [interests, user_interests]
