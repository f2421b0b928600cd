"""What the release in force says: recommendations with reasons, similar items, similar users."""

import dagster as dg
import numpy as np
import pyarrow as pa
import torch

from ml.contracts.contract import partition_name
from ml.contracts.manifest import combined
from ml.contracts.outputs import RECOMMENDATIONS, SIMILAR_ITEMS, SIMILAR_USERS
from ml.contracts.vectors import vectors_to_matrix
from ml.features.items import popularity_ranks
from ml.graph.table import graph_from_table
from ml.ids import IntArray, Vocabulary
from ml.models.device import resolve_device
from ml.ranking.explain import Explainer
from ml.ranking.names import Names
from ml.ranking.recommend import recommend
from ml.ranking.rungs import Rung, interest_rung, personal_rung, popular_rung
from ml.ranking.shards import Shards
from ml.ranking.similar import similar_items, similar_users
from ml.training.candidate import FittedModel
from ml.training.releasing import id_in_force, released_model
from orchestration.scope import Scope
from orchestration.table_assets import DayRun, Made, day_assets

GROUP = "outputs"
KINDS = {"python", "parquet"}


def output_assets(scope: Scope) -> list[dg.AssetsDefinition]:
    """Score everybody, explain, and find neighbours."""
    config, language, device = scope.config.ranking, scope.dataset.language, scope.config.model.device

    @day_assets(scope, RECOMMENDATIONS.name, group=GROUP, kinds=KINDS, settings=(config, language))
    def recommendations(
        run: DayRun,
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
    ) -> Made:
        users = Vocabulary("user", user_activity_daily.column("user_id"))
        catalogue = Vocabulary("item", items.column("item_id"))
        ranks_I = popularity_ranks(item_popularity_daily, items=catalogue, as_of=run.as_of)
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
            rungs.insert(0, released_rung(found[1], catalogue=catalogue))
        workshop = scope.home.ranking / partition_name(run.day)
        table = recommend(
            users,
            rungs=rungs,
            seen=interactions.select(["user_id", "item_id"]),
            explainer=Explainer(
                graph_from_table(interest_graph),
                names=Names.from_tables(items=items, interest_points=interest_points, knowledge_graph=knowledge_graph),
                language=language,
                user_interests=user_interests,
                writers=user_text_embeddings.column("user_id"),
            ),
            release_id=id_in_force(release_decisions),
            k=config.top_k,
            block_size=config.block_size,
            shards=Shards(workshop, fingerprint=work_fingerprint(run), size=config.shard_size),
            progress=run.progress("users"),
        )
        return Made(table, workshop=workshop)

    @day_assets(scope, SIMILAR_ITEMS.name, group=GROUP, kinds=KINDS, settings=(config, device))
    def similar_items_(run: DayRun, release_decisions: pa.Table, item_embeddings: pa.Table) -> Made:
        found = released_model(release_decisions, releases=scope.releases)
        known = Vocabulary("item", item_embeddings.column("item_id"))
        kept = still_there(found[1], catalogue=known) if found else np.arange(0)
        table = similar_items(
            found[1].model.item_vectors[kept] if found else vectors_to_matrix(item_embeddings.column("vector")),
            items=Vocabulary("item", found[1].items.take(kept)) if found else known,
            k=config.num_similar,
            block_size=config.block_size,
            device=resolve_device(device),
            release_id=id_in_force(release_decisions),
            progress=run.progress("items"),
        )
        return Made(table)

    @day_assets(scope, SIMILAR_USERS.name, group=GROUP, kinds=KINDS, settings=config)
    def similar_users_(run: DayRun, release_decisions: pa.Table, user_interests: pa.Table, interest_points: pa.Table) -> Made:
        table = similar_users(
            user_interests,
            interest_points=interest_points,
            k=config.num_similar,
            block_size=config.block_size,
            release_id=id_in_force(release_decisions),
            progress=run.progress("users"),
        )
        return Made(table)

    return [recommendations, similar_items_, similar_users_]


def still_there(fitted: FittedModel, *, catalogue: Vocabulary) -> IntArray:
    """Positions of the release's items that are in the day's catalogue: what has left is never offered."""
    return np.flatnonzero(catalogue.find(fitted.items.ids)[1])


def released_rung(fitted: FittedModel, *, catalogue: Vocabulary) -> Rung:
    """The release's own scores of the items that are still there."""
    kept = still_there(fitted, catalogue=catalogue)
    return personal_rung(
        lambda user_index: fitted.model.score(user_index)[:, kept],
        users=fitted.users,
        items=Vocabulary("item", fitted.items.take(kept)),
        num_likes_U=fitted.num_likes_U,
    )


def work_fingerprint(run: DayRun) -> str:
    """What decides the bytes of a day's shards: what decides the day's, and what decides rounding on this machine."""
    return combined({"day": run.fingerprint, "threads": str(torch.get_num_threads())})
