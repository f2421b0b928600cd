"""Why each item of a list, by the rung it came from: a path of edges that exist where there is one, and words."""

import logging
from collections.abc import Callable, Mapping

import pyarrow as pa

from ml.contracts.contract import STRING
from ml.errors import ExtractorError
from ml.ids import IntArray
from ml.knowledge.extraction import Endpoint
from ml.ranking.attribution import Reason as Told
from ml.ranking.sentences import rewritten
from ml.ranking.wording import fill, is_chinese
from serving.asking import Asked
from serving.ladder import RungName, Scored
from serving.schemas import Reason
from serving.snapshot import Snapshot

log = logging.getLogger(__name__)


class Reasoner:
    """Tells why, for one question."""

    def __init__(self, snapshot: Snapshot, asked: Asked, *, endpoint: Endpoint | None = None) -> None:
        """With an `endpoint` a language model words the first reason of each item that has a path; where it fails the template stands."""
        self._snapshot, self._asked, self._endpoint = snapshot, asked, endpoint

    def reasons(self, scored: Scored, items: IntArray) -> list[list[Reason]]:
        """The reasons of some items of a rung, by catalogue position; never none."""
        tellers: Mapping[RungName, Callable[[Scored, IntArray], list[list[Reason]]]] = {
            "text": self._of_text,
            "personal": self._of_taste,
            "fold_in": self._of_taste,
            "interest": self._of_graph,
        }
        return tellers.get(scored.rung, self._in_words)(scored, items)

    def _of_text(self, scored: Scored, items: IntArray) -> list[list[Reason]]:
        assert scored.answered is not None  # noqa: S101  (the rung of a text)
        index = scored.answered.index
        told = scored.answered.explained(index.items.positions(self._ids(items)), language=self._snapshot.language)
        return [[Reason(kind="query", text=text, path=path)] for text, path in zip(told.reasons, told.paths, strict=True)]

    def _of_taste(self, scored: Scored, items: IntArray) -> list[list[Reason]]:
        """Paths that the score would be lower without, each with how much lower."""
        taste, attributor, person = self._snapshot.taste, self._snapshot.attributor, scored.person
        assert taste is not None  # noqa: S101  (the rung of a release)
        assert attributor is not None  # noqa: S101
        assert person is not None  # noqa: S101
        item_K = taste.items.positions(self._ids(items))
        told = self._worded(attributor.explain(person.without(), item_K=item_K, user_id=self._asked.user_id or ""))
        return [
            [Reason(kind=one.kind, text=one.text, path=list(one.path), share=one.share if one.path else None) for one in of] for of in told
        ]

    def _worded(self, told: list[tuple[Told, ...]]) -> list[tuple[Told, ...]]:
        if self._endpoint is None:
            return told
        try:
            first = rewritten([of[0] for of in told], endpoint=self._endpoint, config=self._snapshot.config.extractor)
        except ExtractorError as error:
            log.warning("reasons keep their templates: %s", error)
            return told
        return [(one, *of[1:]) for one, of in zip(first, told, strict=True)]

    def _of_graph(self, scored: Scored, items: IntArray) -> list[list[Reason]]:
        ranked = pa.table(
            {
                "user_id": pa.repeat(pa.scalar(self._asked.user_id, STRING), len(items)),
                "item_id": self._ids(items),
                "rung": pa.repeat(pa.scalar(scored.rung, STRING), len(items)),
            }
        )
        told = self._snapshot.explainer.explain(ranked).to_pylist()
        return [[Reason(kind=_kind(row["path"]), text=row["reason"], path=row["path"])] for row in told]

    def _in_words(self, scored: Scored, items: IntArray) -> list[list[Reason]]:
        ids = self._ids(items)
        chinese = is_chinese(self._snapshot.names.of("item", ids), language=self._snapshot.language)
        name = {"segment": "popular_of_these", "popular": "popular_lately"}[scored.rung]
        return [[Reason(kind=scored.rung, text=text)] for text in fill(name, is_chinese=chinese).to_pylist()]

    def _ids(self, items: IntArray) -> pa.Array:
        return self._snapshot.catalogue.items.take(items)


def _kind(path: list[str]) -> str:
    return path[2].partition(":")[0] if path else "popular"
