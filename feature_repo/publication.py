"""What an online store says of itself: which day it holds, from which release, and whether the write finished.

The record lies in the online store beside the rows, so it can never speak of another store's content.
"""

import json
from dataclasses import dataclass, replace
from datetime import date
from typing import Literal, Self

State = Literal["publishing", "published"]


@dataclass(frozen=True)
class Publication:
    """The day an online store was last written for; `publishing` means that the write was begun and not finished."""

    day: date
    release_id: str
    num_rows: dict[str, int]
    state: State

    def finished(self) -> Self:
        """The same publication, complete."""
        return replace(self, state="published")

    def to_json(self) -> str:
        """One line of JSON."""
        content = {"day": self.day.isoformat(), "release_id": self.release_id, "num_rows": self.num_rows, "state": self.state}
        return json.dumps(content, sort_keys=True)

    @classmethod
    def from_json(cls, text: str) -> Self:
        """The publication that `to_json` wrote."""
        content = json.loads(text)
        return cls(
            day=date.fromisoformat(content["day"]),
            release_id=content["release_id"],
            num_rows=content["num_rows"],
            state=content["state"],
        )
