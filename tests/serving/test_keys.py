"""Keys: never readable again, two live per name, ended at once, and a wrong file lets nobody in."""

import json
import stat
import subprocess
import sys
from datetime import timedelta

import pytest

from ml.errors import AccessError
from serving.access.keys import KeyRing, create_key, key_file, read_keys, revoke_key

from .conftest import NOW


def test_a_key_is_256_random_bits_of_which_only_a_hash_is_kept(access):
    made = [create_key(access, name=f"n{number}", scopes=["read"], now=NOW) for number in range(20)]
    assert len({new.text for new in made}) == 20
    for new in made:
        prefix, key_id, secret = new.text.split("_", 2)
        assert (prefix, key_id, len(secret)) == ("ig", new.key.id, 43)
        assert secret not in key_file(access).read_text()
        assert secret not in repr(new)


def test_the_file_is_for_its_owner_alone(access):
    create_key(access, name="a", scopes=["read"], now=NOW)
    assert stat.S_IMODE(key_file(access).stat().st_mode) == 0o600
    assert stat.S_IMODE(access.stat().st_mode) == 0o700
    key_file(access).chmod(0o644)
    with pytest.raises(AccessError, match=r"mode 0644.*chmod 600"):
        read_keys(access)


def test_a_ring_finds_the_key_of_a_text_and_no_other(access):
    new = create_key(access, name="a", scopes=["read", "admin"], now=NOW)
    other = create_key(access, name="b", scopes=["read"], now=NOW)
    ring = KeyRing(access, now=lambda: NOW)
    assert ring.find(new.text) == new.key
    assert ring.find(new.text).scopes == ("read", "admin")
    mixed = f"ig_{new.key.id}_{other.text.split('_', 2)[2]}"
    for wrong in ("", "ig_", mixed, new.text[:-1], new.text + "A", new.text.upper(), new.key.id, "ключ", f" {new.text}", f"{new.text}\n"):
        assert ring.find(wrong) is None, wrong


def test_two_live_keys_of_a_name_and_the_third_says_which_to_end(access):
    first = create_key(access, name="a", scopes=["read"], now=NOW)
    create_key(access, name="a", scopes=["read"], now=NOW)
    with pytest.raises(AccessError, match=f"a has 2 live keys .*interest-graph keys revoke {first.key.id}"):
        create_key(access, name="a", scopes=["read"], now=NOW)
    create_key(access, name="b", scopes=["read"], now=NOW)
    revoke_key(access, first.key.id, now=NOW)
    third = create_key(access, name="a", scopes=["read"], now=NOW)
    ring = KeyRing(access, now=lambda: NOW)
    assert (ring.find(first.text), ring.find(third.text)) == (None, third.key)


def test_a_key_ends_at_its_moment_and_then_counts_no_more(access, clock):
    new = create_key(access, name="a", scopes=["read"], now=NOW, expires_at=NOW + timedelta(seconds=10))
    create_key(access, name="a", scopes=["read"], now=NOW)
    ring = KeyRing(access, now=clock.now)
    clock.seconds = 9.999
    assert ring.find(new.text) == new.key
    clock.seconds = 10
    assert ring.find(new.text) is None
    assert create_key(access, name="a", scopes=["read"], now=clock.now())


@pytest.mark.parametrize(
    ("wishes", "message"),
    [
        ({"name": "a b"}, "key name 'a b'"),
        ({"name": ""}, "key name ''"),
        ({"name": "x" * 65}, "1 to 64"),
        ({"scopes": []}, "needs a scope: one or more of read, feedback, admin"),
        ({"scopes": ["read", "root"]}, "no such scope: root; scopes are read, feedback, admin"),
        ({"expires_at": NOW}, "is past; give a later end"),
    ],
)
def test_a_wrong_wish_makes_no_key(access, wishes, message):
    with pytest.raises(AccessError, match=message):
        create_key(access, **({"name": "a", "scopes": ["read"], "now": NOW} | wishes))
    assert read_keys(access) == ()


def test_revoking_what_is_not_live_names_what_is(access):
    new = create_key(access, name="a", scopes=["read"], now=NOW)
    with pytest.raises(AccessError, match=rf"'nothing'; live keys: {new.key.id} \(a\)"):
        revoke_key(access, "nothing", now=NOW)
    assert revoke_key(access, new.key.id, now=NOW).state(NOW) == "revoked"
    with pytest.raises(AccessError, match="live keys: none"):
        revoke_key(access, new.key.id, now=NOW)


def test_a_running_ring_sees_every_change(access):
    ring = KeyRing(access, now=lambda: NOW)
    assert not ring.is_required()
    new = create_key(access, name="a", scopes=["read"], now=NOW)
    assert (ring.is_required(), ring.has_live(), ring.find(new.text)) == (True, True, new.key)
    revoke_key(access, new.key.id, now=NOW)
    assert (ring.is_required(), ring.has_live(), ring.find(new.text)) == (True, False, None)
    # A file that is gone opens nothing: a service that asked for keys goes on asking.
    key_file(access).unlink()
    assert (ring.is_required(), ring.has_live(), ring.find(new.text)) == (True, False, None)


def torn(text):
    return text[: len(text) // 2]


def renamed(text):
    return text.replace('"sha256"', '"hash"')


def doubled(text):
    content = json.loads(text)
    content["keys"] *= 2
    return json.dumps(content)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        (torn, "Invalid JSON"),
        (lambda _: "", "Invalid JSON"),
        (lambda _: "[]", "file: "),
        (renamed, "keys.0.sha256: Field required"),
        (doubled, "two keys have the same id"),
        (lambda text: text.replace('"version": 1', '"version": 2'), "version: "),
        (lambda text: text.replace('"read"', '"root"'), "keys.0.scopes.0: "),
    ],
)
def test_a_wrong_file_is_an_exact_error_until_it_is_mended(access, wrong, message):
    new = create_key(access, name="a", scopes=["read"], now=NOW)
    ring = KeyRing(access, now=lambda: NOW)
    whole = key_file(access).read_text()
    assert ring.find(new.text)
    key_file(access).write_text(wrong(whole))
    for _ in range(2):
        with pytest.raises(AccessError, match=message) as caught:
            ring.find(new.text)
    assert str(key_file(access)) in str(caught.value)
    assert new.key.sha256 not in str(caught.value)
    with pytest.raises(AccessError):
        create_key(access, name="b", scopes=["read"], now=NOW)
    key_file(access).write_text(whole)
    assert ring.find(new.text) == new.key


MAKE = """
import sys
from datetime import UTC, datetime
from pathlib import Path
from serving.access.keys import create_key
for number in range(10):
    create_key(Path(sys.argv[1]), name=f"{sys.argv[2]}-{number}", scopes=["read"], now=datetime.now(UTC))
"""


def test_writers_at_once_lose_no_key(access, repository):
    writers = [subprocess.Popen([sys.executable, "-c", MAKE, str(access), name], cwd=repository) for name in "abcd"]
    assert [writer.wait(timeout=120) for writer in writers] == [0] * 4
    assert sorted(key.name for key in read_keys(access)) == sorted(f"{name}-{number}" for name in "abcd" for number in range(10))
