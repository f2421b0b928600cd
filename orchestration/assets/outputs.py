"""What the release in force says: recommendations with reasons, similar items, similar users."""

import dagster as dg
import numpy as np
import pyarrow as pa

from ml.contracts.outputs import RECOMMENDATIONS, SIMILAR_ITEMS, SIMILAR_USERS
from ml.contracts.vectors import vectors_to_matrix
from ml.days import as_of
from ml.features.items import popularity_ranks
from ml.graph.table import graph_from_table
from ml.ids import Vocabulary
from ml.ranking.explain import Explainer
from ml.ranking.names import Names
from ml.ranking.recommend import recommend
from ml.ranking.rungs import interest_rung, personal_rung, popular_rung
from ml.ranking.similar import similar_items, similar_users
from ml.training.releasing import NO_RELEASE, released_model
from orchestration.progress import logged_progress
from orchestration.scope import Scope
from orchestration.table_assets import partition_day, table_asset

GROUP = "outputs"
KINDS = {"python", "parquet"}


def output_assets(scope: Scope) -> list[dg.AssetsDefinition]:
    """Score everybody, explain, and find neighbours."""
    config = scope.config.ranking

    @table_asset(scope, RECOMMENDATIONS, group=GROUP, kinds=KINDS)
    def recommendations(
        context: dg.AssetExecutionContext,
        release_decisions: pa.Table,
        interactions: pa.Table,
        user_activity_daily: pa.Table,
        items: pa.Table,
        item_popularity_daily: pa.Table,
        item_embeddings: pa.Table,
        user_text_embeddings: pa.Table,
        interest_points: pa.Table,
        item_interests: pa.Table,
        user_interests: pa.Table,
        knowledge_graph: pa.Table,
        interest_graph: pa.Table,
    ) -> pa.Table:
        users = Vocabulary("user", user_activity_daily.column("user_id"))
        catalogue = Vocabulary("item", items.column("item_id"))
        ranks_I = popularity_ranks(item_popularity_daily, items=catalogue, as_of=as_of(partition_day(context)))
        rungs = [
            interest_rung(
                item_embeddings=item_embeddings,
                user_text_embeddings=user_text_embeddings,
                item_interests=item_interests,
                user_interests=user_interests,
            ),
            popular_rung(users, items=catalogue, popularity_I=-ranks_I.astype(np.float32)),
        ]
        found = released_model(release_decisions, releases=scope.releases)
        if found:
            fitted = found[1]
            rungs.insert(0, personal_rung(fitted.model.score, users=fitted.users, items=fitted.items, num_likes_U=fitted.num_likes_U))
        return recommend(
            users,
            rungs=rungs,
            seen=interactions.select(["user_id", "item_id"]),
            explainer=Explainer(
                graph_from_table(interest_graph),
                names=Names.from_tables(items=items, interest_points=interest_points, knowledge_graph=knowledge_graph),
                language=scope.dataset.language,
                user_interests=user_interests,
                writers=user_text_embeddings.column("user_id"),
            ),
            release_id=found[0].release_id if found else NO_RELEASE,
            k=config.top_k,
            block_size=config.block_size,
            progress=logged_progress(context.log.info, "users"),
        )

    @table_asset(scope, SIMILAR_ITEMS, group=GROUP, kinds=KINDS)
    def similar_items_(context: dg.AssetExecutionContext, release_decisions: pa.Table, item_embeddings: pa.Table) -> pa.Table:
        found = released_model(release_decisions, releases=scope.releases)
        return similar_items(
            found[1].model.item_vectors if found else vectors_to_matrix(item_embeddings.column("vector")),
            items=found[1].items if found else Vocabulary("item", item_embeddings.column("item_id")),
            k=config.num_similar,
            block_size=config.block_size,
            release_id=found[0].release_id if found else NO_RELEASE,
            progress=logged_progress(context.log.info, "items"),
        )

    @table_asset(scope, SIMILAR_USERS, group=GROUP, kinds=KINDS)
    def similar_users_(
        context: dg.AssetExecutionContext, release_decisions: pa.Table, user_interests: pa.Table, interest_points: pa.Table
    ) -> pa.Table:
        found = released_model(release_decisions, releases=scope.releases)
        return similar_users(
            user_interests,
            interest_points=interest_points,
            k=config.num_similar,
            block_size=config.block_size,
            release_id=found[0].release_id if found else NO_RELEASE,
            progress=logged_progress(context.log.info, "users"),
        )

    return [recommendations, similar_items_, similar_users_]
