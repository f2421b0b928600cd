"""The table `recommendations`: for every user the first rung of the ladder that can answer, ranked and explained.

Rungs are `ml.ranking.rungs`, reasons `ml.ranking.explain`.
"""

from collections.abc import Sequence

import numpy as np
import pyarrow as pa
import scipy.sparse as sp

from ml.contracts.contract import FLOAT, INTEGER, STRING
from ml.contracts.outputs import RECOMMENDATIONS
from ml.ids import IntArray, Vocabulary
from ml.ranking.explain import Explainer
from ml.ranking.rungs import Rung
from ml.ranking.shards import Shards
from ml.top_n import Progress, top_n

_RANKED = pa.schema([("user_id", STRING), ("rank", INTEGER), ("item_id", STRING), ("score", FLOAT), ("rung", STRING)])


def recommend(
    users: Vocabulary,
    *,
    rungs: Sequence[Rung],
    seen: pa.Table,
    explainer: Explainer,
    release_id: str,
    k: int,
    block_size: int,
    shards: Shards | None = None,
    progress: Progress | None = None,
) -> pa.Table:
    """The `recommendations` table of `users`, by user and rank, explained.

    See `rank_for_users`, which does the ranking. With `shards` what is finished is kept on the way, and
    a call that was killed goes on where it was, to the same bytes.
    """
    ladder = _ladder(rungs, seen=seen)

    def explained(ids: pa.Array, told: Progress | None) -> pa.Table:
        ranked = _rank(Vocabulary("user", ids), ladder=ladder, k=k, block_size=block_size, progress=told)
        return explainer.explain(ranked)

    table = shards.each(users.ids, make=explained, progress=progress) if shards else explained(users.ids, progress)
    return RECOMMENDATIONS.conform(table.append_column("release_id", pa.repeat(pa.scalar(release_id, STRING), table.num_rows)))


def rank_for_users(
    users: Vocabulary,
    *,
    rungs: Sequence[Rung],
    seen: pa.Table,
    k: int,
    block_size: int,
    progress: Progress | None = None,
) -> pa.Table:
    """Columns user_id, rank, item_id, score, rung; by user, then rank.

    `rungs` are tried in order; a user whom none can answer for has no rows. `seen`
    holds pairs (user_id, item_id) that are never recommended, whatever came of them.
    A user who has met everything on a rung gets fewer rows, or none.
    """
    return _rank(users, ladder=_ladder(rungs, seen=seen), k=k, block_size=block_size, progress=progress)


def _ladder(rungs: Sequence[Rung], *, seen: pa.Table) -> list[tuple[Rung, sp.csr_array]]:
    """Rungs with what is excluded on each, found once for all users."""
    return [(rung, _excluded(seen, rung=rung)) for rung in rungs]


def _rank(
    users: Vocabulary,
    *,
    ladder: Sequence[tuple[Rung, sp.csr_array]],
    k: int,
    block_size: int,
    progress: Progress | None,
) -> pa.Table:
    pending = np.ones(len(users), dtype=np.bool_)
    tables = [_RANKED.empty_table()]
    for rung, excluded_UI in ladder:
        in_rung, known = rung.users.find(users.ids)
        served = np.flatnonzero(pending & known & np.append(rung.can_answer_U, False)[in_rung])
        pending[served] = False
        told = _shifted(progress, before=int((~pending).sum()) - len(served), total=len(users))
        items_UK, scores_UK = top_n(
            rung.score, user_index=in_rung[served], excluded_UI=excluded_UI, k=k, block_size=block_size, progress=told
        )
        tables.append(_rows(users.take(served), rung=rung, items_UK=items_UK, scores_UK=scores_UK))
    return pa.concat_tables(tables).sort_by([("user_id", "ascending"), ("rank", "ascending")])


def _excluded(seen: pa.Table, *, rung: Rung) -> sp.csr_array:
    user_index, knows_user = rung.users.find(seen.column("user_id"))
    item_index, knows_item = rung.items.find(seen.column("item_id"))
    known = knows_user & knows_item
    shape = (len(rung.users), len(rung.items))
    # Pairs met on several days are summed; int32, because 256 of them would be 0 in a byte.
    return sp.csr_array((np.ones(int(known.sum()), dtype=np.int32), (user_index[known], item_index[known])), shape=shape)


def _rows(user_ids: pa.Array, *, rung: Rung, items_UK: IntArray, scores_UK: np.ndarray) -> pa.Table:
    user, place = np.nonzero(items_UK >= 0)
    columns = {
        "user_id": user_ids.take(pa.array(user)),
        "rank": place + 1,
        "item_id": rung.items.take(items_UK[user, place]),
        "score": scores_UK[user, place].astype(np.float64),
        "rung": pa.repeat(pa.scalar(rung.name), len(user)),
    }
    return pa.table(columns).cast(_RANKED)


def _shifted(progress: Progress | None, *, before: int, total: int) -> Progress | None:
    if progress is None:
        return None
    return lambda done, _total: progress(before + done, total)
