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
    progress: Progress | None = None,
) -> pa.Table:
    """The `recommendations` table of `users`, by user and rank, explained.

    See `rank_for_users`, which does the ranking.
    """
    ranked = rank_for_users(users, rungs=rungs, seen=seen, k=k, block_size=block_size, progress=progress)
    explained = explainer.explain(ranked)
    return RECOMMENDATIONS.conform(explained.append_column("release_id", pa.repeat(pa.scalar(release_id, STRING), explained.num_rows)))


def rank_for_users(
    users: Vocabulary, *, rungs: Sequence[Rung], seen: pa.Table, k: int, block_size: int, progress: Progress | None = None
) -> pa.Table:
    """Columns user_id, rank, item_id, score, rung; by user, then rank.

    `rungs` are tried in order; a user whom none can answer for has no rows. `seen`
    holds pairs (user_id, item_id) that are never recommended, whatever came of them.
    A user who has met everything on a rung gets fewer rows, or none.
    """
    pending = np.ones(len(users), dtype=np.bool_)
    tables = [_RANKED.empty_table()]
    for rung in rungs:
        in_rung, known = rung.users.find(users.ids)
        served = np.flatnonzero(pending & known & np.append(rung.can_answer_U, False)[in_rung])
        pending[served] = False
        items_UK, scores_UK = top_n(
            rung.score,
            user_index=in_rung[served],
            excluded_UI=_excluded(seen, rung=rung),
            k=k,
            block_size=block_size,
            progress=_shifted(progress, before=int((~pending).sum()) - len(served), total=len(users)),
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
