"""Nothing acknowledged is lost, nothing is there twice, and what went wrong is said."""

import asyncio
import errno
import os
import threading
from datetime import timedelta

import pytest

from ml.errors import FeedbackError, KeyReusedError
from serving.feedback.entry import to_line
from serving.feedback.segments import read_accepted
from tests.serving.feedback.conftest import NOON

LONG_AGO = NOON - timedelta(days=365)


def keys(folder) -> list[str]:
    return [accepted.feedback.key for accepted in read_accepted(folder.path, since=LONG_AGO)]


def test_what_is_acknowledged_was_synced_and_told_first(folder, like, append, monkeypatch) -> None:
    order: list[str] = []
    sync = os.fdatasync
    monkeypatch.setattr(os, "fdatasync", lambda handle: (sync(handle), order.append("synced")))
    with folder.open(on_durable=lambda new: order.append(f"told {new[0].event_id}")) as log:
        answer = log.submit([like("k1")])
        answer.add_done_callback(lambda _: order.append("acknowledged"))
        (found,) = answer.result()
    assert order == ["synced", "told feedback:k1", "acknowledged"]
    assert (found.event_id, found.event_at) == ("feedback:k1", NOON)
    assert folder.files() == {"2024-06-30-0001.jsonl": to_line(found)}


def test_many_requests_share_a_sync(folder, like, monkeypatch) -> None:
    gate, synced, sync = threading.Event(), [], os.fdatasync

    def slow(handle: int) -> None:
        gate.wait(10)
        synced.append(sync(handle))

    monkeypatch.setattr(os, "fdatasync", slow)

    async def all_at_once() -> None:
        asked = [asyncio.create_task(log.append(like(f"k{n}"))) for n in range(64)]
        await asyncio.sleep(0.1)
        assert not any(task.done() for task in asked), "acknowledged before it was synced"
        gate.set()
        await asyncio.gather(*asked)

    with folder.open() as log:
        asyncio.run(all_at_once())
    assert len(synced) <= 2
    assert sorted(keys(folder)) == sorted(f"k{n}" for n in range(64))


@pytest.mark.parametrize("restarted", [False, True])
def test_the_same_key_is_answered_as_the_first_time(folder, like, append, clock, restarted) -> None:
    log = folder.open()
    first = append(log, [like("k1", value=4)])
    clock.turn(days=1)
    if restarted:
        log.close()
        log = folder.open()
    with log:
        assert append(log, [like("k1", value=4.0)]) == first
        with pytest.raises(
            KeyReusedError, match="idempotency key 'k1' was given before with other feedback; send new feedback under a new"
        ):
            append(log, [like("k1", kind="dislike")])
    assert keys(folder) == ["k1"]


def test_one_key_many_times_at_once_is_one_event(folder, like) -> None:
    with folder.open() as log:

        async def at_once():
            same = [log.append(like("k1")) for _ in range(32)]
            others = [log.append(like("k1", item=f"other{n}")) for n in range(8)]
            return await asyncio.gather(*same, *others, return_exceptions=True)

        found = asyncio.run(at_once())
    assert len({(each.event_id, each.event_at) for each in found[:32]}) == 1
    assert all(isinstance(each, KeyReusedError) for each in found[32:])
    assert keys(folder) == ["k1"]


def test_several_together_are_kept_all_or_none(folder, like, append) -> None:
    with folder.open() as log:
        append(log, [like("k1")])
        with pytest.raises(KeyReusedError):
            asyncio.run(log.append_all([like("k2"), like("k1", item="i2"), like("k3")]))
        assert keys(folder) == ["k1"]
        found = asyncio.run(log.append_all([like("k2"), like("k1"), like("k2")]))
    assert [each.feedback.key for each in found] == ["k2", "k1", "k2"]
    assert keys(folder) == ["k1", "k2"]


def test_a_torn_tail_is_cut_wherever_it_was_torn(folder, like, append) -> None:
    with folder.open() as log:
        append(log, [like("k1"), like("k2")])
    path = next(folder.path.glob("*.jsonl"))
    whole = path.read_bytes()
    last = whole.rindex(b"\n", 0, -1) + 1
    for torn in [*(whole[:end] for end in range(last + 1, len(whole))), whole[:last] + b"\0" * 7 + b"\n", whole[:last] + b"\xff{}\n\n"]:
        path.write_bytes(torn)
        with folder.open() as log:
            assert path.read_bytes() == whole[:last]
            append(log, [like("k2")])
        assert path.read_bytes() == whole


def test_a_broken_line_in_the_middle_costs_itself_alone(folder, like, append) -> None:
    with folder.open() as log:
        append(log, [like("k1"), like("k2"), like("k3")])
    path = next(folder.path.glob("*.jsonl"))
    broken = path.read_bytes().replace(b"feedback:k2", b"feedback:k7")
    path.write_bytes(broken)
    with folder.open():
        assert path.read_bytes() == broken
    assert keys(folder) == ["k1", "k3"]


@pytest.mark.parametrize("failing", ["write", "fdatasync"])
def test_a_full_disk_acknowledges_nothing_and_says_so(folder, like, append, monkeypatch, failing) -> None:
    with folder.open() as log:
        append(log, [like("k1")])
        real = getattr(os, failing)

        def full(handle: int, *content: memoryview) -> int:
            if content and len(content[0]) > 10:
                return real(handle, content[0][:10])
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

        monkeypatch.setattr(os, failing, full)
        with pytest.raises(FeedbackError, match=r"2024-06-30-0001.jsonl cannot be written: No space left on device; make room or mend"):
            append(log, [like("k2")])
        assert keys(folder) == ["k1"]
        monkeypatch.undo()
        append(log, [like("k2"), like("k1")])
    assert keys(folder) == ["k1", "k2"]
    # What the system holds of a file after a failed sync is unknown: another one goes on.
    assert list(folder.files()) == ["2024-06-30-0001.jsonl", "2024-06-30-0002.jsonl"]
    with folder.open() as log:
        append(log, [like("k1"), like("k2"), like("k3")])
    assert keys(folder) == ["k1", "k2", "k3"]


def test_the_folder_can_be_full_before_the_first_file(folder, like, append, monkeypatch) -> None:
    with folder.open() as log:
        real = os.open

        def full(path, *given: int) -> int:
            if str(path).endswith(".jsonl"):
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            return real(path, *given)

        monkeypatch.setattr(os, "open", full)
        with pytest.raises(FeedbackError, match="No space left on device"):
            append(log, [like("k1")])
        monkeypatch.undo()
        append(log, [like("k1")])
    assert keys(folder) == ["k1"]


def test_a_file_deleted_under_the_log_acknowledges_nothing(folder, like, append) -> None:
    with folder.open() as log:
        append(log, [like("k1")])
        next(folder.path.glob("*.jsonl")).unlink()
        with pytest.raises(FeedbackError, match="the file was deleted while it was written"):
            append(log, [like("k2")])
        append(log, [like("k2")])
    assert keys(folder) == ["k2"]


def test_a_file_a_day_and_more_where_much_is_said(folder, like, append, clock) -> None:
    with folder.open(max_segment_bytes=280) as log:
        append(log, [like(f"k{n}") for n in range(4)])
        clock.turn(days=2)
        append(log, [like("k4")])
        clock.turn(days=-1)
        append(log, [like("k5")])
    names = list(folder.files())
    assert names == ["2024-06-30-0001.jsonl", "2024-06-30-0002.jsonl", "2024-07-02-0001.jsonl"]
    # The clock went back: still in the newest file, and found by the time it has.
    assert [each.feedback.key for each in read_accepted(folder.path, since=NOON + timedelta(days=1))] == ["k4", "k5"]
    with folder.open(max_segment_bytes=280) as log:
        append(log, [like("k6")])
    assert list(folder.files()) == [*names[:3], "2024-07-02-0002.jsonl"]
    assert keys(folder) == [f"k{n}" for n in range(7)]


def test_keys_are_forgotten_after_a_week(folder, like, append, clock) -> None:
    with folder.open() as log:
        append(log, [like("k1"), like("k2")])
        clock.turn(days=7)
        append(log, [like("k3")])
        assert len(log._keys) == 3
        clock.turn(seconds=1)
        append(log, [like("k4")])
        assert len(log._keys) == 2
    with folder.open() as log:
        assert len(log._keys) == 2


def test_a_second_writer_is_told_who_holds_the_log(folder) -> None:
    with folder.open():
        said = f"process {os.getpid()} writes the feedback log .*; one process a dataset takes feedback: stop that one"
        with pytest.raises(FeedbackError, match=said):
            folder.open()
    with folder.open() as log:
        log.close()


def test_a_closed_log_says_so_and_keeps_what_was_waiting(folder, like, monkeypatch) -> None:
    gate, sync = threading.Event(), os.fdatasync
    monkeypatch.setattr(os, "fdatasync", lambda handle: (gate.wait(10), sync(handle)))
    log = folder.open()
    asked = [log.submit([like(f"k{n}")]) for n in range(5)]
    threading.Timer(0.1, gate.set).start()
    log.close()
    assert [answer.result(0)[0].feedback.key for answer in asked] == [f"k{n}" for n in range(5)]
    with pytest.raises(FeedbackError, match="the feedback log is closed"):
        log.submit([like("k9")])
    assert keys(folder) == [f"k{n}" for n in range(5)]


def test_a_request_that_went_away_stops_nobody(folder, like, monkeypatch) -> None:
    gate, sync = threading.Event(), os.fdatasync
    monkeypatch.setattr(os, "fdatasync", lambda handle: (gate.wait(10), sync(handle)))

    async def some_go() -> None:
        asked = [asyncio.create_task(log.append(like(f"k{n}"))) for n in range(6)]
        await asyncio.sleep(0.1)
        for task in asked[::2]:
            task.cancel()
        await asyncio.sleep(0)
        gate.set()
        found = await asyncio.gather(*asked, return_exceptions=True)
        assert [each.feedback.key for each in found[1::2]] == ["k1", "k3", "k5"]
        assert (await log.append(like("k7"))).feedback.key == "k7"

    with folder.open() as log:
        asyncio.run(some_go())


def test_nobody_waits_for_a_log_whose_listener_failed(folder, like, monkeypatch) -> None:
    monkeypatch.setattr(threading, "excepthook", lambda _: None)

    def fails(_: object) -> None:
        raise RuntimeError

    with folder.open(on_durable=fails) as log:
        with pytest.raises(FeedbackError, match="the feedback log has stopped"):
            log.submit([like("k1")]).result(10)
        with pytest.raises(FeedbackError, match="the feedback log has stopped"):
            log.submit([like("k2")])
    with folder.open() as log:
        assert log.submit([like("k1")]).result(10)[0].event_at == NOON
    assert keys(folder) == ["k1"]
