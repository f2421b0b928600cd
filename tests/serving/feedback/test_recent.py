"""What was said counts at once, as it will count after the next refresh, and is forgotten when a release knows it."""

import asyncio
import threading
from datetime import date, timedelta

import numpy as np
import pyarrow as pa
import pytest
import scipy.sparse as sp

from ml.contracts.behaviour import INTERACTIONS
from ml.ids import UserIdBorder, Vocabulary
from ml.intake.event_worth import EventWorth
from ml.intake.feedback import DEFAULT_WEIGHTS
from ml.models.histories import Histories
from ml.training.inputs import interaction_matrices
from serving.feedback.entry import Accepted, Feedback
from serving.feedback.recent import RecentFeedback
from serving.feedback.statements import Statement, UserFeedback, merged
from tests.serving.feedback.conftest import NOON

ITEMS = Vocabulary("item", ["i1", "i2", "i3", "i4"])
WORTH = EventWorth(DEFAULT_WEIGHTS)
HALF_LIFE = 7.0


class Pseudonyms(UserIdBorder):
    def inward(self, user_id: str) -> str:
        return f"inside {user_id}"


def said(*kinds_and_items: tuple[str, str], after: float = 0.0, value: float | None = None) -> UserFeedback:
    """Statements an hour apart, the first `after` days past noon."""
    return UserFeedback(
        tuple(
            Statement(f"e{n}", kind, WORTH(kind, value), NOON + timedelta(days=after, hours=n), item)
            for n, (kind, item) in enumerate(kinds_and_items)
        )
    )


def offline(events: list[tuple[str, float, float]], *, now: float) -> Histories:
    """The row that a release made `now` days past noon has of (item, weight, days past noon)."""
    moments = [NOON + timedelta(days=at) for _, _, at in events]
    columns = {
        "day": [moment.date() for moment in moments],
        "user_id": ["u1"] * len(events),
        "item_id": [item for item, _, _ in events],
        "weight": [weight for _, weight, _ in events],
        "num_events": [1] * len(events),
        "first_event_at": moments,
        "last_event_at": moments,
    }
    as_of = NOON + timedelta(days=now)
    known = pa.table({column.name: pa.array(columns[column.name], column.dtype) for column in INTERACTIONS.columns})
    return interaction_matrices(known, users=Vocabulary("user", ["u1"]), items=ITEMS, half_life_days=HALF_LIFE, as_of=as_of)[0]


def at_once(row: Histories, feedback: UserFeedback, *, now: float) -> Histories:
    return merged(row, feedback, items=ITEMS, half_life_days=HALF_LIFE, as_of=NOON, now=NOON + timedelta(days=now))


def assert_same(found: Histories, expected: Histories) -> None:
    np.testing.assert_allclose(found.positives_UI.toarray(), expected.positives_UI.toarray(), rtol=1e-5)
    np.testing.assert_allclose(found.age_UI.toarray(), expected.age_UI.toarray(), rtol=1e-5)


@pytest.mark.parametrize("before", [[], [("i1", 2.0, -3.0), ("i1", 1.0, -1.0), ("i2", 4.0, -40.0)]])
def test_at_once_it_counts_as_after_the_next_refresh(before) -> None:
    row = offline(before, now=0) if before else Histories(sp.csr_array((1, 4), dtype=np.float32))
    feedback = said(("click", "i1"), ("like", "i3"), ("click", "i3"), ("purchase", "i1"))
    events = [("i1", 1.0, 0.0), ("i3", 3.0, 1 / 24), ("i3", 1.0, 2 / 24), ("i1", 4.0, 3 / 24)]
    assert_same(at_once(row, feedback, now=1.5), offline([*before, *events], now=1.5))


@pytest.mark.parametrize("kind", ["dislike", "hide"])
def test_a_refusal_takes_back_whatever_was_liked_and_a_like_takes_it_back(kind) -> None:
    row = offline([("i1", 40.0, -1.0), ("i2", 1.0, -1.0)], now=0)
    refused = said((kind, "i1"))
    assert at_once(row, refused, now=1).positives_UI.indices.tolist() == [1]
    assert (refused.never_again, refused.seen, refused.disliked) == ({"i1"}, {"i1"}, ("i1",))
    clicked = said((kind, "i1"), ("click", "i1"))
    assert at_once(row, clicked, now=1).positives_UI.indices.tolist() == [1]
    assert clicked.never_again == {"i1"}
    again = said((kind, "i1"), ("like", "i1"))
    assert at_once(row, again, now=1).positives_UI.indices.tolist() == [0, 1]
    assert (again.never_again, again.seen, again.liked) == (set(), {"i1"}, ("i1",))


def test_a_bad_rating_is_no_like_and_no_hiding() -> None:
    row = offline([("i1", 40.0, -1.0)], now=0)
    bad = said(("rating", "i1"), value=1.0)
    assert at_once(row, bad, now=1).positives_UI.nnz == 0
    assert (bad.never_again, bad.seen) == (set(), {"i1"})


def test_items_the_release_does_not_know_are_kept_and_score_nothing() -> None:
    row = offline([("i1", 1.0, -1.0)], now=0)
    unknown = said(("like", "new"), ("hide", "newer"))
    assert at_once(row, unknown, now=1) is row
    assert (unknown.seen, unknown.never_again) == ({"new", "newer"}, {"newer"})
    assert at_once(row, said(("like", "new"), ("like", "i2")), now=1).positives_UI.indices.tolist() == [0, 1]


def test_a_like_too_old_to_weigh_anything_stays_one() -> None:
    row = offline([("i1", 1.0, -5000.0), ("i2", 1.0, -900.0)], now=0)
    found = at_once(row, said(("like", "i3"), ("click", "i1")), now=1)
    assert found.positives_UI.indices.tolist() == [0, 1, 2]
    assert np.isfinite(found.positives_UI.data).all()
    assert (found.positives_UI.data > 0).all()


def test_where_nobody_knows_ages_nobody_invents_them() -> None:
    row = Histories(offline([("i1", 1.0, -1.0)], now=0).positives_UI)
    found = at_once(row, said(("like", "i3")), now=1)
    assert (found.positives_UI.indices.tolist(), found.age_UI) == ([0, 2], None)


def test_a_row_over_other_items_is_refused() -> None:
    with pytest.raises(ValueError, match=r"the row has shape \(1, 3\), expected \(1, 4\)"):
        at_once(Histories(sp.csr_array((1, 3), dtype=np.float32)), said(("like", "i1")), now=1)


def accepted(key: str, *, days: float = 0.0, user: str = "u1", **more) -> Accepted:
    given = {"kind": "like", "item_id": "i1"} | more
    return Accepted(Feedback(key=key, user_id=user, **given), NOON + timedelta(days=days))


def recent(*log: Accepted, since=NOON) -> RecentFeedback:
    return RecentFeedback(
        since=since, read=lambda moment: [each for each in log if each.event_at >= moment], worth=WORTH, border=Pseudonyms("d")
    )


def events(found: RecentFeedback, user: str = "inside u1") -> list[str]:
    return [statement.event_id for statement in found.of(user).statements]


def test_users_cross_the_border_and_words_are_kept() -> None:
    found = recent()
    found.add([accepted("k1", kind="text", item_id=None, text="rain gear"), accepted("k2", user="u2")])
    assert found.users() == ["inside u1", "inside u2"]
    assert [statement.text for statement in found.of("inside u1").texts] == ["rain gear"]
    assert found.of("u1") == UserFeedback()


def test_a_newer_release_drops_what_it_knows_and_the_older_one_brings_it_back() -> None:
    log = [accepted(f"k{n}", days=n) for n in range(4)]
    found = recent(*log)
    found.come_into_force(NOON)
    assert events(found) == [f"feedback:k{n}" for n in range(4)]
    found.add([accepted("k9", days=5)])
    found.come_into_force(NOON + timedelta(days=2))
    assert events(found) == ["feedback:k2", "feedback:k3", "feedback:k9"]
    found.add([log[0], log[2]])
    assert events(found) == ["feedback:k2", "feedback:k3", "feedback:k9"]
    found.come_into_force(NOON + timedelta(days=1))
    assert events(found) == ["feedback:k1", "feedback:k2", "feedback:k3", "feedback:k9"]
    found.come_into_force(NOON + timedelta(days=9))
    assert (found.users(), events(found)) == ([], [])


def test_who_still_asks_the_release_before_is_told_what_it_does_not_know() -> None:
    found = recent(*[accepted(f"k{n}", days=n) for n in range(4)])
    found.come_into_force(NOON)
    found.come_into_force(NOON + timedelta(days=2))
    assert len(found.of("inside u1", since=NOON).statements) == 4
    assert len(found.of("inside u1", since=NOON + timedelta(days=2)).statements) == 2
    found.come_into_force(NOON + timedelta(days=3))
    assert len(found.of("inside u1", since=NOON).statements) == 2, "nobody asks the one before that"


def test_appends_during_a_change_of_release_are_not_lost() -> None:
    reading, go_on = threading.Event(), threading.Event()

    def slow(_: object) -> list[Accepted]:
        reading.set()
        go_on.wait(10)
        return []

    found = RecentFeedback(since=NOON, read=slow, worth=WORTH, border=UserIdBorder("d"))
    change = threading.Thread(target=lambda: found.come_into_force(NOON + timedelta(days=1)))
    change.start()
    reading.wait(10)
    found.add([accepted("k1", days=2)])
    assert events(found, "u1") == ["feedback:k1"], "visible while the log is read"
    go_on.set()
    change.join()
    assert events(found, "u1") == ["feedback:k1"]


def test_the_next_answer_after_an_acknowledgement_knows_it(folder, clock, tmp_path) -> None:
    from ml.intake.dataset import load_dataset
    from serving.feedback.service import FeedbackService

    (tmp_path / "shop.yaml").write_text(
        "name: shop\nstart: 2024-06-28\nweights: {view: 1, rating: ln(value), hide: -9}\n"
        "tables: {events: [{path: e.csv, columns: {user_id: u, item_id: i, event_type: t, event_at: a}}]}\n"
    )
    dataset, told = load_dataset(tmp_path / "shop.yaml", variables={}), []

    def opened() -> FeedbackService:
        return FeedbackService(
            dataset, folder=folder.path, since=NOON, border=UserIdBorder("shop"), clock=clock, on_recent=lambda _, users: told.append(users)
        )

    with opened() as service:
        asyncio.run(service.accept([accepted("k1").feedback, accepted("k2", kind="hide", item_id="i2").feedback]))
        assert service.recent.of("u1").liked == ("i1",)
        assert [each.weight for each in service.recent.of("u1").statements] == [3.0, -9.0]
        assert told == [["u1"]]
        with pytest.raises(ValueError, match=r"the weight `ln\(value\)` of rating gives no number for value -1; send a value it can take"):
            asyncio.run(service.accept([accepted("k3").feedback, accepted("k4", kind="rating", value=-1).feedback]))
        assert len(service.recent.of("u1").statements) == 2
    clock.turn(hours=30)
    with opened() as service:
        assert service.recent.of("u1").never_again == {"i2"}
        assert dataset.start == date(2024, 6, 28)
