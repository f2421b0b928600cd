"""What the simulation knows, written beside the data, and how to ask whether a result has found it.

`truth/*.csv` are described in `docs/sample.md`. Nothing in the pipeline may read
them; tests and benchmarks do.
"""

import csv
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path

import numpy as np
import numpy.typing as npt
from scipy.stats import rankdata

from examples.shop.population import STRONG_INTEREST

Matrix = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Truth:
    """The truth of a sample. U honest users, T themes; spam accounts have no interests."""

    user_ids: tuple[str, ...]
    themes: tuple[str, ...]
    interests_UT: Matrix
    shifted_UT: Matrix
    shifted_on: date | None
    shifted_users: frozenset[str]
    spam_users: frozenset[str]
    terms: dict[str, tuple[str, ...]]

    def interests(self, day: date) -> Matrix:
        """Interests in force on `day`, rows sum to 1, shape [U, T]."""
        return self.shifted_UT if self.shifted_on is not None and day >= self.shifted_on else self.interests_UT

    def interests_so_far(self, day: date) -> Matrix:
        """The larger of a user's weights before and since the shift, as known by `day`, shape [U, T].

        What a profile that remembers weeks should hold.
        """
        return np.asarray(np.maximum(self.interests_UT, self.interests(day)))

    def theme_scores(self, user_ids: Sequence[str], names: Sequence[str], weights: Sequence[float]) -> Matrix:
        """Found interests as themes, shape [U, T]: the weights of rows (user, name, weight) summed by what the names stand for.

        A name that stands for several themes is divided among them; other names and unknown users are left out.
        """
        user_at = {user: position for position, user in enumerate(self.user_ids)}
        theme_at = {theme: position for position, theme in enumerate(self.themes)}
        scores_UT = np.zeros((len(self.user_ids), len(self.themes)))
        for user, name, weight in zip(user_ids, names, weights, strict=True):
            stands_for = self.terms.get(name.casefold(), ())
            if user in user_at:
                for theme in stands_for:
                    scores_UT[user_at[user], theme_at[theme]] += weight / len(stands_for)
        return scores_UT


def read_truth(directory: Path) -> Truth:
    """Read the truth of the sample in `directory` (the folder that holds `truth/`)."""
    folder = directory / "truth"
    weights = read_rows(folder / "user_interests.csv")
    themes = tuple(sorted({row["theme"] for row in read_rows(folder / "themes.csv")}))
    user_ids = tuple(sorted({row["user_id"] for row in weights}))
    interests_UT = np.zeros((len(user_ids), len(themes)))
    _fill(interests_UT, user_ids, themes, weights, "weight")
    shifts = read_rows(folder / "shifted_users.csv")
    shifted_UT = interests_UT.copy()
    _fill(shifted_UT, user_ids, themes, shifts, "weight_after")
    terms: dict[str, set[str]] = {}
    for row in read_rows(folder / "themes.csv"):
        terms.setdefault(row["term"].casefold(), set()).add(row["theme"])
    return Truth(
        user_ids=user_ids,
        themes=themes,
        interests_UT=interests_UT,
        shifted_UT=shifted_UT,
        shifted_on=date.fromisoformat(shifts[0]["shifted_on"]) if shifts else None,
        shifted_users=frozenset(row["user_id"] for row in shifts),
        spam_users=frozenset(row["user_id"] for row in read_rows(folder / "spam_users.csv")),
        terms={term: tuple(sorted(found)) for term, found in terms.items()},
    )


def interest_auc(truth: Truth, scores_UT: Matrix, *, day: date, users: Sequence[str] | None = None, newest: bool = False) -> float:
    """Probability that a (user, theme) pair that has been a strong interest by `day` scores above one that has not; ties count half.

    Over all pairs of `users` (default: all honest ones) together; with `newest`, of the interests in force on `day` alone.
    Raises `ValueError` where all pairs are of one kind.
    """
    chosen = set(truth.user_ids if users is None else users)
    rows = np.array([user in chosen for user in truth.user_ids])
    simulated_UT = truth.interests(day) if newest else truth.interests_so_far(day)
    is_strong = (simulated_UT[rows] >= STRONG_INTEREST).ravel()
    num_strong, num_other = int(is_strong.sum()), int((~is_strong).sum())
    if not num_strong or not num_other:
        raise ValueError(f"no AUC from {num_strong} strong and {num_other} other pairs; give users of the sample")
    ranks = rankdata(scores_UT[rows].ravel())
    return float((ranks[is_strong].sum() - num_strong * (num_strong + 1) / 2) / (num_strong * num_other))


def read_rows(path: Path) -> list[dict[str, str]]:
    """The rows of a truth file."""
    with path.open(encoding="utf-8", newline="") as handle:
        return list(csv.DictReader(handle))


def _fill(matrix_UT: Matrix, user_ids: Sequence[str], themes: Sequence[str], rows: list[dict[str, str]], column: str) -> None:
    user_at = {user: position for position, user in enumerate(user_ids)}
    theme_at = {theme: position for position, theme in enumerate(themes)}
    for row in rows:
        matrix_UT[user_at[row["user_id"]], theme_at[row["theme"]]] = float(row[column])
