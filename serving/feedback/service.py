"""Feedback as a service offers it: accepted when it is durable, in effect from then on.

Log, worth and recent view of one dataset, opened and closed together; a route needs no other module of this folder.
"""

from collections.abc import Callable, Sequence
from datetime import datetime
from pathlib import Path
from typing import Self

from ml.ids import UserIdBorder
from ml.intake.dataset import Dataset
from ml.intake.event_worth import EventWorth
from ml.intake.feedback import event_weights
from serving.feedback.entry import Accepted, Feedback
from serving.feedback.log import FeedbackLog
from serving.feedback.recent import RecentFeedback
from serving.feedback.segments import read_accepted

OnRecent = Callable[[RecentFeedback, Sequence[str]], None]


class FeedbackService:
    """What one process needs to take feedback on one dataset.

    `folder` is the log's (`DatasetHome.feedback`), `since` the `as_of` of the release in force. `on_recent` is told,
    after `recent` knows and before anything is acknowledged, whose feedback came (inside ids); it must be quick.
    Raises `FeedbackError` where another process takes this dataset's feedback.
    """

    def __init__(
        self,
        dataset: Dataset,
        *,
        folder: Path,
        since: datetime,
        border: UserIdBorder,
        clock: Callable[[], datetime],
        on_recent: OnRecent | None = None,
    ) -> None:
        self._worth = EventWorth(event_weights(dataset))
        self._border = border
        self._on_recent = on_recent
        self.recent = RecentFeedback(since=since, read=lambda moment: read_accepted(folder, since=moment), worth=self._worth, border=border)
        self._log = FeedbackLog(folder, clock=clock, on_durable=self._take_up)
        self.recent.come_into_force(since)

    async def accept(self, given: Sequence[Feedback]) -> list[Accepted]:
        """All of it durable and in effect, in the order given; what came before under its key is answered as then.

        Raises `ValueError` for feedback that the dataset's weights cannot weigh, `KeyReusedError` for a key that
        stands for other feedback, `FeedbackError` where it cannot be kept; then nothing of it was acknowledged.
        """
        for feedback in given:
            self._worth(feedback.kind, feedback.value)
        return await self._log.append_all(given)

    def close(self) -> None:
        """Write what waits, then let another process take feedback."""
        self._log.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _take_up(self, accepted: Sequence[Accepted]) -> None:
        self.recent.add(accepted)
        if self._on_recent is not None:
            users = dict.fromkeys(self._border.inward(each.feedback.user_id) for each in accepted)
            self._on_recent(self.recent, list(users))
