"""Feature tables for Feast, and putting the newest of them online."""

from collections.abc import Iterator

import dagster as dg
import numpy as np
import pyarrow as pa

from feature_repo.publish import publish
from ml.contracts.outputs import FEATURE_TABLES, ITEM_FEATURES, RECOMMENDATION_LISTS, USER_PROFILES
from ml.days import as_of
from ml.features.items import build_item_features
from ml.features.lists import build_recommendation_lists
from ml.features.profiles import build_user_profiles
from ml.ids import FloatArray, Vocabulary
from ml.training.releasing import NO_RELEASE, released_model
from orchestration.progress import logged_progress
from orchestration.scope import Scope
from orchestration.table_assets import OWNER, partition_day, table_asset

GROUP = "features"
KINDS = {"python", "parquet", "feast"}
ONLINE = "online_features"
ONLINE_CHECK = "online_equals_offline"
PUBLISH_POOL = "feature_publish"


def feature_assets(scope: Scope) -> list[dg.AssetsDefinition]:
    """Profiles, item features, recommendation lists, and the publish."""
    limit = scope.config.features.profile_interests

    @table_asset(scope, USER_PROFILES, group=GROUP, kinds=KINDS)
    def user_profiles(
        context: dg.AssetExecutionContext,
        release_decisions: pa.Table,
        user_activity_daily: pa.Table,
        interactions: pa.Table,
        user_interests: pa.Table,
        interest_points: pa.Table,
    ) -> pa.Table:
        moment = as_of(partition_day(context))
        release_id, users, vectors_VD = release_vectors(scope, release_decisions, kind="user")
        return build_user_profiles(
            user_activity_daily,
            interactions=interactions,
            user_interests=user_interests,
            interest_points=interest_points,
            release_users=users,
            user_vectors_VD=vectors_VD,
            release_id=release_id,
            as_of=moment,
            created_at=moment,
            max_interests=limit,
            cold_user_interactions=scope.config.evaluation.cold_user_interactions,
        )

    @table_asset(scope, ITEM_FEATURES, group=GROUP, kinds=KINDS)
    def item_features(
        context: dg.AssetExecutionContext,
        release_decisions: pa.Table,
        items: pa.Table,
        item_popularity_daily: pa.Table,
        item_interests: pa.Table,
        interest_points: pa.Table,
        similar_items: pa.Table,
    ) -> pa.Table:
        moment = as_of(partition_day(context))
        release_id, known, vectors_JD = release_vectors(scope, release_decisions, kind="item")
        return build_item_features(
            items,
            item_popularity_daily=item_popularity_daily,
            item_interests=item_interests,
            interest_points=interest_points,
            similar_items=similar_items,
            release_items=known,
            item_vectors_JD=vectors_JD,
            release_id=release_id,
            as_of=moment,
            created_at=moment,
            max_interests=limit,
        )

    @table_asset(scope, RECOMMENDATION_LISTS, group=GROUP, kinds=KINDS)
    def recommendation_lists(
        context: dg.AssetExecutionContext,
        release_decisions: pa.Table,
        recommendations: pa.Table,
        user_activity_daily: pa.Table,
        items: pa.Table,
    ) -> pa.Table:
        moment = as_of(partition_day(context))
        return build_recommendation_lists(
            recommendations,
            users=Vocabulary("user", user_activity_daily.column("user_id")),
            items=items,
            release_id=release_vectors(scope, release_decisions, kind="user")[0],
            as_of=moment,
            created_at=moment,
        )

    @dg.asset(
        key=scope.key(ONLINE),
        deps=[scope.key(contract.name) for contract in FEATURE_TABLES],
        partitions_def=scope.partitions,
        group_name=GROUP,
        owners=[OWNER],
        kinds={"feast", scope.config.features.online_store},
        description="The day's feature tables online, read back and compared. An older day than the one online is left offline only.",
        check_specs=[dg.AssetCheckSpec(ONLINE_CHECK, asset=scope.key(ONLINE), description="A sample of entities reads back as written.")],
        pool=PUBLISH_POOL,
    )
    def online_features(context: dg.AssetExecutionContext) -> Iterator[dg.MaterializeResult[None]]:
        done = publish(
            scope.home, config=scope.config.features, day=partition_day(context), progress=logged_progress(context.log.info, "rows online")
        )
        # A mismatch raises inside publish; what is left to say is whether there was something to compare.
        said = dg.AssetCheckResult(check_name=ONLINE_CHECK, passed=True, metadata={"entities compared": done.num_checked})
        figures = {f"rows of {name}": number for name, number in done.num_rows.items()}
        removed = {f"removed from {name}": number for name, number in done.num_removed.items()}
        yield dg.MaterializeResult(
            metadata={"published": done.published, "reason": done.reason, "release": done.release_id, **figures, **removed},
            check_results=[said],
        )

    return [user_profiles, item_features, recommendation_lists, online_features]


def release_vectors(scope: Scope, decisions: pa.Table, *, kind: str) -> tuple[str, Vocabulary, FloatArray]:
    """The id of the release in force, and its users or items with their vectors, shape [N, D]; empty where there is none."""
    found = released_model(decisions, releases=scope.releases)
    if found is None:
        return NO_RELEASE, Vocabulary(kind, []), np.zeros((0, 0), dtype=np.float32)
    release, fitted = found
    if kind == "user":
        return release.release_id, fitted.users, fitted.model.user_vectors
    return release.release_id, fitted.items, fitted.model.item_vectors
