"""Feature tables for Feast, and putting the newest of them online."""

from collections.abc import Iterator
from datetime import date

import dagster as dg
import numpy as np
import pyarrow as pa

from feature_repo.publish import publish
from ml.contracts.outputs import FEATURE_TABLES, ITEM_FEATURES, RECOMMENDATION_LISTS, RELEASE_DECISIONS, USER_PROFILES
from ml.features.items import build_item_features
from ml.features.lists import build_recommendation_lists
from ml.features.profiles import build_user_profiles
from ml.ids import FloatArray, Vocabulary
from ml.training.releasing import NO_RELEASE, id_in_force, released_model
from orchestration.assets.model import LIVE
from orchestration.progress import logged_progress
from orchestration.scope import Scope
from orchestration.table_assets import DayRun, Made, day_assets, newest_day_asset, partition_days

GROUP = "features"
KINDS = {"python", "parquet", "feast"}
ONLINE = "online_features"
ONLINE_CHECK = "online_equals_offline"
PUBLISH_POOL = "feature_publish"


def feature_assets(scope: Scope) -> list[dg.AssetsDefinition]:
    """Profiles, item features, recommendation lists, and the publish."""
    limit = scope.config.features.profile_interests
    cold = scope.config.evaluation.cold_user_interactions

    @day_assets(scope, USER_PROFILES.name, group=GROUP, kinds=KINDS, settings=(f"{limit} {cold}",))
    def user_profiles(
        run: DayRun,
        release_decisions: pa.Table,
        user_activity_daily: pa.Table,
        interactions: pa.Table,
        user_interests: pa.Table,
        interest_points: pa.Table,
    ) -> Made:
        release_id, users, vectors_VD = release_vectors(scope, release_decisions, kind="user")
        table = build_user_profiles(
            user_activity_daily,
            interactions=interactions,
            user_interests=user_interests,
            interest_points=interest_points,
            release_users=users,
            user_vectors_VD=vectors_VD,
            release_id=release_id,
            as_of=run.as_of,
            created_at=run.as_of,
            max_interests=limit,
            cold_user_interactions=cold,
        )
        return Made(table)

    @day_assets(scope, ITEM_FEATURES.name, group=GROUP, kinds=KINDS, settings=(str(limit),))
    def item_features(
        run: DayRun,
        release_decisions: pa.Table,
        items: pa.Table,
        item_popularity_daily: pa.Table,
        item_interests: pa.Table,
        interest_points: pa.Table,
        similar_items: pa.Table,
    ) -> Made:
        release_id, known, vectors_JD = release_vectors(scope, release_decisions, kind="item")
        table = build_item_features(
            items,
            item_popularity_daily=item_popularity_daily,
            item_interests=item_interests,
            interest_points=interest_points,
            similar_items=similar_items,
            release_items=known,
            item_vectors_JD=vectors_JD,
            release_id=release_id,
            as_of=run.as_of,
            created_at=run.as_of,
            max_interests=limit,
        )
        return Made(table)

    @day_assets(scope, RECOMMENDATION_LISTS.name, group=GROUP, kinds=KINDS)
    def recommendation_lists(
        run: DayRun,
        release_decisions: pa.Table,
        recommendations: pa.Table,
        user_activity_daily: pa.Table,
        items: pa.Table,
    ) -> Made:
        table = build_recommendation_lists(
            recommendations,
            users=Vocabulary("user", user_activity_daily.column("user_id")),
            items=items,
            release_id=id_in_force(release_decisions),
            as_of=run.as_of,
            created_at=run.as_of,
        )
        return Made(table)

    @newest_day_asset(
        scope,
        ONLINE,
        deps=(*(table.name for table in FEATURE_TABLES), LIVE),
        group_name=GROUP,
        kinds={"feast", scope.config.features.online_store},
        description="The newest day's feature tables online, read back and compared. Of a range, only its newest day; an older day than "
        "the one online, or one whose release is not live, stays offline.",
        check_specs=[dg.AssetCheckSpec(ONLINE_CHECK, asset=scope.key(ONLINE), description="A sample of entities reads back as written.")],
        pool=PUBLISH_POOL,
    )
    def online_features(context: dg.AssetExecutionContext) -> Iterator[dg.MaterializeResult[None]]:
        day = partition_days(context)[-1]
        if reason := why_not_online(scope, day):
            yield dg.MaterializeResult(metadata={"published": False, "reason": reason}, check_results=[unpublished(reason)])
            return
        done = publish(scope.home, config=scope.config.features, day=day, progress=logged_progress(context.log.info, "rows online"))
        # A mismatch raises inside publish; what is left to say is whether there was something to compare.
        said = dg.AssetCheckResult(check_name=ONLINE_CHECK, passed=True, metadata={"entities compared": done.num_checked})
        figures = {f"rows of {name}": number for name, number in done.num_rows.items()}
        names = {"release": done.release_id, "generation": done.generation_id or "none"}
        yield dg.MaterializeResult(metadata={"published": done.published, "reason": done.reason, **names, **figures}, check_results=[said])

    return [user_profiles, item_features, recommendation_lists, online_features]


def why_not_online(scope: Scope, day: date) -> str | None:
    """Why a day may not be published, in a sentence: its release is not the live one (not promoted, or rolled back from)."""
    release_id = id_in_force(scope.artefact(RELEASE_DECISIONS.name).read(day))
    live_id = scope.releases.current_id()
    if live_id in {None, release_id}:
        return None
    return f"not published: {day} is made by release {release_id}, but {live_id} is live; look-ups go on with the day that is online"


def unpublished(reason: str) -> dg.AssetCheckResult:
    """A warning that look-ups still answer from an earlier day."""
    return dg.AssetCheckResult(
        check_name=ONLINE_CHECK, passed=False, severity=dg.AssetCheckSeverity.WARN, description=reason, metadata={"reason": reason}
    )


def release_vectors(scope: Scope, decisions: pa.Table, *, kind: str) -> tuple[str, Vocabulary, FloatArray]:
    """The id of the release in force, and its users or items with their vectors, shape [N, D]; empty where there is none."""
    found = released_model(decisions, releases=scope.releases)
    if found is None:
        return NO_RELEASE, Vocabulary(kind, []), np.zeros((0, 0), dtype=np.float32)
    release, fitted = found
    if kind == "user":
        return release.release_id, fitted.users, fitted.model.user_vectors
    return release.release_id, fitted.items, fitted.model.item_vectors
