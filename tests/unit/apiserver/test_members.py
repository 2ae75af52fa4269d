"""Which etcd member is asked, what is repeated, and what is not."""

from collections.abc import AsyncIterator
from typing import Any

import grpc
import grpc.aio
import pytest

from api import errors
from apiserver import members as module
from apiserver.members import Compacted, Doubt, Member, Members

Code = grpc.StatusCode


def failure(code: grpc.StatusCode, details: str = "") -> grpc.aio.AioRpcError:
    return grpc.aio.AioRpcError(code, grpc.aio.Metadata(), grpc.aio.Metadata(), details)


class Script:
    """Answers each call by what comes next, and notes which member was asked."""

    def __init__(self, *answers: object) -> None:
        self.answers = list(answers)
        self.asked: list[str] = []

    def __call__(self, member: Member) -> Any:
        async def call(message: object, **more: Any) -> object:
            assert more["metadata"] == module.LEADER
            self.asked.append(member.target[-1])
            answer = self.answers.pop(0)
            if isinstance(answer, Exception):
                raise answer
            return answer

        return call


@pytest.fixture
async def three() -> AsyncIterator[Members]:
    made = Members("http://127.0.0.1:1,http://127.0.0.1:2,http://127.0.0.1:3", None)
    yield made
    await made.close()


SILENCE = [
    failure(Code.UNAVAILABLE, "Socket closed"),
    failure(Code.DEADLINE_EXCEEDED, "Deadline Exceeded"),
    failure(Code.UNAVAILABLE, "etcdserver: request timed out"),
    failure(Code.UNKNOWN, "No status received"),
    failure(Code.INTERNAL, "Stream removed (Data frame with END_STREAM flag received)"),
    failure(Code.UNKNOWN, "context deadline exceeded"),
]
REFUSALS = [
    failure(Code.UNAVAILABLE, "failed to connect to all addresses; last error: refused"),
    failure(Code.UNAVAILABLE, "etcdserver: no leader"),
    failure(Code.RESOURCE_EXHAUSTED, "etcdserver: too many requests"),
]


@pytest.mark.parametrize("error", SILENCE + REFUSALS)
async def test_a_read_goes_to_the_next_member_and_the_next_read_goes_there_too(
    three: Members, error: grpc.aio.AioRpcError
) -> None:
    left: list[str] = []
    three.on_leave = lambda: left.append(three.current.target)
    script = Script(error, "read", "again")
    assert await three.call(script, None) == "read"
    assert await three.call(script, None) == "again"
    assert script.asked == ["1", "2", "2"] and left == ["127.0.0.1:2"]


async def test_a_read_goes_round_while_the_members_elect_a_leader(three: Members) -> None:
    script = Script(*[failure(Code.UNAVAILABLE, "etcdserver: no leader")] * 7, "read")
    assert await three.call(script, None) == "read"
    assert script.asked == list("12312312")


@pytest.mark.parametrize("error", SILENCE)
async def test_a_write_that_may_have_been_carried_out_is_not_sent_again(
    three: Members, error: grpc.aio.AioRpcError
) -> None:
    script = Script(error)
    with pytest.raises(Doubt):
        await three.call(script, None, again=False)
    assert script.asked == ["1"] and three.current.target == "127.0.0.1:2"


@pytest.mark.parametrize("error", REFUSALS)
async def test_a_write_that_was_refused_is_sent_to_the_next_member(three: Members, error: grpc.aio.AioRpcError) -> None:
    script = Script(error, "written")
    assert await three.call(script, None, again=False) == "written"
    assert script.asked == ["1", "2"]


async def test_an_answer_that_says_no_is_an_answer(three: Members) -> None:
    script = Script(failure(Code.OUT_OF_RANGE, "etcdserver: mvcc: required revision has been compacted"))
    with pytest.raises(Compacted):
        await three.call(script, None)
    assert three.current.target == "127.0.0.1:1"


async def test_members_that_all_fail_are_given_up_in_bounded_time(three: Members) -> None:
    script = Script(*[failure(Code.UNAVAILABLE, "etcdserver: no leader")] * 1000)
    with pytest.raises(errors.ServiceUnavailable, match="no leader"):
        await three.call(script, None, seconds=0.3)


async def test_the_first_member_is_asked_again_once_it_serves(three: Members, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "HOME", 0.0)
    home = Script(failure(Code.UNAVAILABLE), "well")
    monkeypatch.setattr(three.current.kv, "Range", home(three.current))
    script = Script(failure(Code.UNAVAILABLE), *["read"] * 10)
    for _ in range(10):
        await three.call(script, None)
        while three._tasks:
            await next(iter(three._tasks))
    assert script.asked == list("122" + "1" * 8)


def targets(members: Members) -> list[str]:
    """Whom it asks, in the order of asking, each until it fails."""
    found = []
    for _ in range(9):
        found.append(members.current.target)
        members.leave(members.current, "for the test")
    return sorted(set(found), key=found.index)


async def test_members_that_etcd_names_are_asked_after_the_listed_one() -> None:
    made = Members("https://127.0.0.1:2379", None)
    made.know(["https://192.0.2.3:2379", "https://192.0.2.2:2379"])
    assert targets(made) == ["127.0.0.1:2379", "192.0.2.2:2379", "192.0.2.3:2379"]
    await made.close()


async def test_a_member_that_etcd_names_no_longer_is_not_asked_any_more() -> None:
    made = Members("https://127.0.0.1:2379", None)
    made.know(["https://192.0.2.3:2379", "https://192.0.2.2:2379"])
    made.leave(made.current, "for the test")
    assert made.current.target == "192.0.2.2:2379"
    made.know(["https://192.0.2.3:2379"])
    assert targets(made) == ["127.0.0.1:2379", "192.0.2.3:2379"]
    await made.close()


async def test_who_is_asked_stays_when_others_come() -> None:
    made = Members("https://127.0.0.1:2379", None)
    made.know(["https://192.0.2.3:2379"])
    made.leave(made.current, "for the test")
    asked = made.current
    made.know(["https://192.0.2.2:2379", "https://192.0.2.3:2379"])
    assert made.current is asked
    await made.close()
