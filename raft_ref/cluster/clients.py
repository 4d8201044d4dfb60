"""Connections of clients, which speak the Redis protocol."""

from __future__ import annotations

import asyncio
from asyncio import Future, Queue, StreamReader, StreamWriter
from collections.abc import Callable, Mapping

from raft_ref.cluster.replies import Reply
from raft_ref.cluster.resp import Conversation, End, Inform, Replicate, Say, Todo, information
from raft_ref.cluster.settings import Address
from raft_ref.types import Command

Ask = Callable[[Command], "Future[Reply]"]
Facts = Callable[[], Mapping[str, object]]

MAX_PIPELINED = 1000
"""A client that has asked for so many things at once is not listened to until one is answered."""


class ClientPort:
    """Serves clients."""

    def __init__(self, ask: Ask, facts: Facts) -> None:
        self._ask = ask
        self._facts = facts
        self._server: asyncio.Server | None = None
        self._conversations: set[asyncio.Task[None]] = set()

    async def start(self, address: Address) -> None:
        """Serve clients there. Raises `OSError` if the address cannot be had."""
        self._server = await asyncio.start_server(self._accept, *address)

    async def stop(self) -> None:
        """Serve nobody any more; what is under way is not answered."""
        if self._server is not None:
            self._server.close()
        for task in self._conversations:
            task.cancel()
        await asyncio.gather(*self._conversations, return_exceptions=True)

    async def _accept(self, reader: StreamReader, writer: StreamWriter) -> None:
        task = asyncio.create_task(self._converse(reader, writer))
        self._conversations.add(task)
        task.add_done_callback(self._conversations.discard)

    async def _converse(self, reader: StreamReader, writer: StreamWriter) -> None:
        answers: Queue[Future[bytes] | None] = Queue(MAX_PIPELINED)
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(_write(answers, writer))
                await self._listen(Conversation(), reader, answers)
                await answers.put(None)
        except* OSError:
            pass  # the client is gone
        finally:
            writer.close()

    async def _listen(
        self,
        conversation: Conversation,
        reader: StreamReader,
        answers: Queue[Future[bytes] | None],
    ) -> None:
        while content := await reader.read(65536):
            for todo in conversation.feed(content):
                await answers.put(self._answer(conversation, todo))
                if isinstance(todo, End):
                    return

    def _answer(self, conversation: Conversation, todo: Todo) -> Future[bytes]:
        """What will be answered; answers leave in the order of the questions."""
        answer: Future[bytes] = asyncio.get_running_loop().create_future()
        match todo:
            case Say(content) | End(content):
                answer.set_result(content)
            case Inform():
                answer.set_result(information(self._facts()))
            case Replicate(command):
                asked = self._ask(command)
                asked.add_done_callback(
                    lambda done: _hand_on(conversation.encode(done.result()), answer)
                )
        return answer


def _hand_on(content: bytes, answer: Future[bytes]) -> None:
    if not answer.done():
        answer.set_result(content)


async def _write(answers: Queue[Future[bytes] | None], writer: StreamWriter) -> None:
    """Write answers as they come, and as long as the client reads them."""
    while (answer := await answers.get()) is not None:
        writer.write(await answer)
        await writer.drain()
