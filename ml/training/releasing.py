"""From a trial to the release in force: add, promote or leave, and say so in a row.

The release in force on a day is the one that passed its gate that day; else the
live one, so that a rollback decides what the days after it use. A day older than
the live release takes what was in force the day before it, and leaves the live
one alone.
"""

from collections.abc import Mapping
from datetime import date
from pathlib import Path

import pyarrow as pa

from ml.contracts.outputs import RELEASE_DECISIONS
from ml.contracts.store import TableStore
from ml.training.candidate import FittedModel, load_evaluated, load_fitted
from ml.training.releases import Release, ReleaseStore
from ml.training.trial import Trial

# The release id of rows made without any release: scores from interests and popularity alone.
NO_RELEASE = "none"


def decide(
    trial: Trial, *, day: date, candidate: Path, releases: ReleaseStore, store: TableStore, made_from: Mapping[str, str], card: str
) -> pa.Table:
    """Make a release of the candidate, let it go live if the gate did, and return the day's `release_decisions` row."""
    release = releases.add(candidate, day=day, made_from=made_from, documents={"model_card.md": card})
    live = releases.current()
    goes_live = trial.decision.promoted and (live is None or live.day <= day)
    if goes_live:
        releases.promote(release.release_id, reason=trial.decision.reason)
    in_force = release.release_id if trial.decision.promoted else _in_force_id(day, releases=releases, store=store)
    return _row(trial, candidate=release.release_id, is_live=goes_live, in_force=in_force)


def undecided(trial: Trial, *, day: date, releases: ReleaseStore, store: TableStore) -> pa.Table:
    """The `release_decisions` row of a day without a candidate: what was in force stays."""
    return _row(trial, candidate=None, is_live=False, in_force=_in_force_id(day, releases=releases, store=store))


def in_force_before(day: date, *, releases: ReleaseStore, store: TableStore) -> FittedModel | None:
    """The measured model of the release in force before `day`; None where none has ever passed."""
    release_id = _in_force_id(day, releases=releases, store=store)
    return load_evaluated(releases.get(release_id).directory) if release_id else None


def released_model(decisions: pa.Table, *, releases: ReleaseStore) -> tuple[Release, FittedModel] | None:
    """The release in force that a day's `release_decisions` name, and its model; None where none has ever passed."""
    release_id = decisions.column("release_id")[0].as_py()
    if release_id is None:
        return None
    release = releases.get(release_id)
    return release, load_fitted(release.directory)


def _row(trial: Trial, *, candidate: str | None, is_live: bool, in_force: str | None) -> pa.Table:
    row = {
        "candidate_release_id": candidate,
        "has_passed": trial.decision.promoted,
        "is_live": is_live,
        "reason": trial.decision.reason,
        "release_id": in_force,
    }
    return RELEASE_DECISIONS.conform(pa.Table.from_pylist([row], schema=RELEASE_DECISIONS.schema))


def _in_force_id(day: date, *, releases: ReleaseStore, store: TableStore) -> str | None:
    live = releases.current()
    if live is not None and live.day < day:
        return live.release_id
    earlier = [written for written in store.days(RELEASE_DECISIONS.name) if written < day]
    if not earlier:
        return None
    found: str | None = store.read(RELEASE_DECISIONS, day=earlier[-1]).column("release_id")[0].as_py()
    return found
