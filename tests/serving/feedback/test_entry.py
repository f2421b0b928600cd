"""What a user may say, and that a line of the log is that, whole, or known to be neither."""

from datetime import datetime, timedelta, timezone

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from serving.feedback.entry import KINDS, Accepted, Feedback, ShownAs, from_line, is_whole, to_line

AT = datetime(2024, 6, 30, 12, 0, 0, 5, tzinfo=timezone(timedelta(hours=8)))
WORDS = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), min_size=1, max_size=40).filter(str.strip)
SAID = st.builds(
    Feedback,
    key=WORDS,
    user_id=WORDS,
    kind=st.sampled_from(KINDS),
    item_id=WORDS,
    value=st.floats(allow_nan=False, allow_infinity=False),
    text=WORDS,
    session_id=st.none() | WORDS,
    shown=st.none() | st.builds(ShownAs, WORDS, st.integers(1, 100), st.floats(1e-6, 1)),
)


@settings(deadline=None)
@given(SAID)
def test_a_line_says_what_was_said(said: Feedback) -> None:
    line = to_line(Accepted(said, AT))
    assert line.count(b"\n") == 1
    assert from_line(line) == Accepted(said, AT)
    assert from_line(line).feedback.shown == said.shown


@settings(deadline=None)
@given(SAID, st.data())
def test_a_torn_or_changed_line_is_known(said: Feedback, data: st.DataObject) -> None:
    line = to_line(Accepted(said, AT))
    place = data.draw(st.integers(0, len(line) - 1))
    changed = bytearray(line)
    changed[place] ^= 1 << data.draw(st.integers(0, 7))
    assert not is_whole(line[:place])
    assert not is_whole(bytes(changed))
    with pytest.raises(ValueError, match="not a whole line"):
        from_line(line[:place])


@pytest.mark.parametrize(
    ("given_", "said"),
    [
        ({"kind": "love"}, "kind is 'love'; give one of click, like, dislike, hide, purchase, rating, text"),
        ({"key": ""}, "key is empty; fill it in"),
        ({"user_id": " "}, "user_id is empty; fill it in"),
        ({"item_id": None}, "item_id is missing; a like is about an item"),
        ({"item_id": ""}, "item_id is empty; fill it in, or leave it out"),
        ({"kind": "rating"}, "value is missing; a rating needs its number"),
        ({"value": float("nan")}, "value is nan; give a finite number"),
        ({"kind": "text"}, "text is missing; fill it in"),
        ({"text": "a\0b"}, "text holds a NUL or half a surrogate pair"),
        ({"user_id": "\ud800"}, "user_id holds a NUL or half a surrogate pair"),
        ({"key": "k" * 513}, "key has 513 characters; at most 512 are kept"),
    ],
)
def test_what_cannot_be_an_event_is_refused(given_: dict[str, object], said: str) -> None:
    with pytest.raises(ValueError, match=said.replace("(", r"\(")):
        Feedback(**({"key": "k", "user_id": "u", "kind": "like", "item_id": "i"} | given_))
