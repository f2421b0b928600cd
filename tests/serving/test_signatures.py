"""Signed texts: what was signed comes back, nothing else does, and each refusal says which it was."""

import stat
from datetime import timedelta

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ml.errors import AccessError, SignedTextError
from serving.access.impressions import Impression, ImpressionSigner, Shown, Subject, max_characters
from serving.access.secrets import SecretKeeper, rotate_secret, secret_file
from serving.access.signatures import SignedState, Signer

from .conftest import NOW

LATER = NOW + timedelta(hours=1)
ANN = Subject("user", "ann@example.com")
RELEASE = "20260630-abcdefabcdef"


def keeper(access):
    return SecretKeeper(access, now=lambda: NOW)


def impressions(access, max_items=100):
    return ImpressionSigner(keeper(access), max_items=max_items, max_age=timedelta(hours=24))


def reason(refused):
    """The word of the refusal that a call gives."""
    with pytest.raises(SignedTextError) as caught:
        refused()
    assert len(str(caught.value)) > len(caught.value.reason) + 20
    return caught.value.reason


def test_the_secret_is_made_once_for_the_owner_alone(access):
    first = keeper(access).believed()
    assert keeper(access).believed() == first
    assert stat.S_IMODE(secret_file(access).stat().st_mode) == 0o600
    assert len(first[0].key) == 32
    assert first[0].key.hex() in secret_file(access).read_text()
    assert first[0].key.hex() not in repr(first)


@pytest.mark.parametrize("wrong", ["{", '{"version": 1, "secrets": []}', "short"])
def test_a_wrong_secret_file_is_an_exact_error_that_shows_no_secret(access, wrong):
    believed = keeper(access)
    digits = believed.believed()[0].key.hex()
    whole = secret_file(access).read_text()
    secret_file(access).write_text(whole.replace(digits, digits[:-1]) if wrong == "short" else wrong)
    for opened in (believed.believed, lambda: keeper(access)):
        with pytest.raises(AccessError, match="does not hold what it must") as caught:
            opened()
        assert digits[:-1] not in str(caught.value)
    secret_file(access).unlink()
    with pytest.raises(AccessError, match="is gone; put it back"):
        believed.believed()


def test_what_was_signed_comes_back_and_no_changed_text_does(access):
    signer = Signer(keeper(access), purpose="thing", max_characters=200)
    content = bytes(range(50))
    text = signer.sign(content)
    assert signer.verify(text) == content
    changed = [text[:at] + ("A" if text[at] != "A" else "B") + text[at + 1 :] for at in range(len(text))]
    assert {reason(lambda wrong=wrong: signer.verify(wrong)) for wrong in changed} == {"unknown secret", "malformed", "wrong signature"}
    secret_id, body, signature = text.split(".")
    for wrong in (
        "",
        ".",
        "..",
        text + "=",
        text + "\n",
        f"{secret_id}.{body}",
        f"{secret_id}..{signature}",
        f"{secret_id}.{body}.",
        "é" + text,
    ):
        assert reason(lambda wrong=wrong: signer.verify(wrong)) in {"malformed", "wrong signature", "unknown secret"}


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(text=st.text(max_size=120) | st.from_regex(r"[0-9a-f]{8}\.[A-Za-z0-9_=-]{0,90}\.[A-Za-z0-9_=-]{0,60}", fullmatch=True))
def test_no_text_but_ours_passes_and_none_breaks_it(access, text):
    signed = impressions(access)
    assert reason(lambda: signed.verify(text, item_id="i1", subject=ANN, now=NOW)) in {"malformed", "unknown secret", "wrong signature"}


def test_a_text_for_one_purpose_is_none_for_another(access):
    kept = keeper(access)
    text = Signer(kept, purpose="conversation", max_characters=200).sign(b"x")
    assert reason(lambda: Signer(kept, purpose="impression", max_characters=200).verify(text)) == "wrong signature"


def test_two_secrets_are_believed_and_no_third(access):
    signer = Signer(keeper(access), purpose="thing", max_characters=200)
    first = signer.sign(b"1")
    rotate_secret(access, now=LATER)
    second = signer.sign(b"2")
    assert (signer.verify(first), signer.verify(second)) == (b"1", b"2")
    assert first.split(".")[0] != second.split(".")[0]
    rotate_secret(access, now=LATER)
    assert signer.verify(second) == b"2"
    assert reason(lambda: signer.verify(first)) == "unknown secret"


def test_another_server_believes_nothing_of_ours(access, tmp_path):
    text = Signer(keeper(access), purpose="thing", max_characters=200).sign(b"x")
    other = Signer(keeper(tmp_path / "other"), purpose="thing", max_characters=200)
    assert reason(lambda: other.verify(text)) == "unknown secret"


def test_a_state_comes_back_within_its_time(access):
    states = SignedState(keeper(access), purpose="conversation")
    state = {"likes": ["登山", "tea"], "turn": 3, "none": None, "nested": {"a": [1.5]}}
    text = states.sign(state, now=NOW)
    assert states.verify(text, max_age=timedelta(hours=1), now=LATER) == state
    assert reason(lambda: states.verify(text, max_age=timedelta(hours=1), now=LATER + timedelta(seconds=1))) == "expired"
    # What says the same again and again is packed; what is too long is refused as it is signed, not when it comes back.
    assert len(states.sign({"likes": ["the same"] * 1000}, now=NOW)) < 500
    with pytest.raises(ValueError, match="longer than 8192; put less into it"):
        states.sign({str(number): hash((number, "x")) for number in range(2000)}, now=NOW)
    assert reason(lambda: states.verify("a" * 9000, max_age=timedelta(hours=1), now=NOW)) == "malformed"


def test_an_impression_says_how_each_item_was_shown_and_no_other_item(access):
    signer = impressions(access)
    shown = [Impression(f"i{number}", number, 1 / number) for number in range(1, 101)]
    token = signer.sign(shown, release_id=RELEASE, subject=ANN, now=NOW)
    for impression in shown:
        found = signer.verify(token, item_id=impression.item_id, subject=ANN, now=LATER)
        assert found == Shown(RELEASE, impression.rank, pytest.approx(impression.propensity, rel=1e-6), NOW)
    for unseen in ("i0", "i101", "", "I1", "i1 "):
        assert reason(lambda unseen=unseen: signer.verify(token, item_id=unseen, subject=ANN, now=LATER)) == "not shown"


def test_an_impression_holds_for_its_subject_and_time(access):
    signer = impressions(access)
    token = signer.sign([Impression("i1", 1)], release_id=RELEASE, subject=ANN, now=NOW)
    for other in (Subject("user", "bob"), Subject("session", ANN.id), Subject("user", "")):
        assert reason(lambda other=other: signer.verify(token, item_id="i1", subject=other, now=NOW)) == "other subject"
    assert signer.verify(token, item_id="i1", subject=ANN, now=NOW + timedelta(hours=24))
    assert reason(lambda: signer.verify(token, item_id="i1", subject=ANN, now=NOW + timedelta(hours=24, seconds=1))) == "expired"


def test_a_token_is_short_whatever_the_ids_and_names_nobody(access):
    signer = impressions(access)
    sizes = set()
    for make in (str, lambda number: f"{number:0200d}", lambda number: f"登山鞋-{number}"):
        shown = [Impression(make(number), 65_535 - number) for number in range(100)]
        token = signer.sign(shown, release_id="r" * 64, subject=Subject("user", make(7)), now=NOW)
        assert token.isascii()
        assert set(token) <= set("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_.")
        sizes.add(len(token))
    assert sizes == {max_characters(100)}
    assert max_characters(100) <= 2150
    assert len(signer.sign([], release_id=RELEASE, subject=ANN, now=NOW)) < 150


@pytest.mark.parametrize(
    ("shown", "message"),
    [
        ([Impression(str(number), number + 1) for number in range(4)], "4 items were shown at once, a token holds 3"),
        ([Impression("a", 1), Impression("a", 2)], "twice"),
        ([Impression("a", 0)], "rank 0"),
        ([Impression("a", 65_536)], "rank 65536"),
        ([Impression("a", 1, 0.0)], "propensity 0.0"),
        ([Impression("a", 1, 1.5)], "propensity 1.5"),
        ([Impression("a", 1, float("nan"))], "propensity nan"),
    ],
)
def test_what_cannot_have_been_shown_is_not_signed(access, shown, message):
    with pytest.raises(ValueError, match=message):
        impressions(access, max_items=3).sign(shown, release_id=RELEASE, subject=ANN, now=NOW)
