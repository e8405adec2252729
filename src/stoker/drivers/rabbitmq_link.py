"""A connection to RabbitMQ as coroutines see it: calls that answer, publishes that are confirmed, ends that are told.

pika speaks the protocol. aio-pika and its aiormq make futures and tasks for each message, which cost 240 µs of each;
pika's callbacks cost 50 µs (two cores).
"""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any, Final, NamedTuple

import pika
from pika.adapters.asyncio_connection import AsyncioConnection
from pika.exceptions import AMQPError, ChannelClosedByBroker
from pika.spec import Basic

from stoker.drivers.rabbitmq_tls import advice

BURST: Final = 100
"""So many publishes go out before the loop has a turn: a call of thousands may not stop acknowledgements."""

_PIKA: Final = logging.getLogger("pika")
if _PIKA.level == logging.NOTSET:
    # It narrates each step of a connection, and logs as errors what our callers are told anyway.
    _PIKA.setLevel(logging.CRITICAL)

Properties = pika.BasicProperties
Delivered = Callable[[Any, Any, Any, bytes], None]


class Message(NamedTuple):
    """Something to publish."""

    exchange: str
    key: str
    body: bytes
    properties: Any


class LinkLost(Exception):
    """The connection or the channel ended; nobody knows what became of what was under way."""


class Untrusted(LinkLost):
    """TLS cannot begin, however often it is tried; the text says what to do."""


class Refused(Exception):
    """The broker closed the channel because of what was asked: ``code`` and its text."""

    def __init__(self, code: int, text: str) -> None:
        super().__init__(text)
        self.code = code
        self.text = text


class Unconfirmed(Exception):
    """The broker refused to take messages (a full queue, or a fault of its own); ``partly`` if it took others."""

    def __init__(self, refused: int, of: int) -> None:
        super().__init__(f"the broker refused {refused} of {of} messages")
        self.partly = refused < of


class _Batch:
    __slots__ = ("done", "left", "refused")

    def __init__(self, left: int, done: asyncio.Future[None]) -> None:
        self.left = left
        self.refused = 0
        self.done = done


def _ignored(_answer: Any) -> None: ...


class Channel:
    """One channel in confirm mode; everything happens on the loop that opened it."""

    def __init__(self, raw: Any, loop: asyncio.AbstractEventLoop) -> None:
        self._raw = raw
        self._loop = loop
        self._waiting: set[asyncio.Future[Any]] = set()
        self._batches: set[_Batch] = set()
        self._pending: dict[int, _Batch] = {}
        self._tag = 0
        self._cancels: dict[str, Callable[[str], None]] = {}
        self._returned: Counter[tuple[str, str | None, bytes]] = Counter()
        self._getting = asyncio.Lock()
        self.ended: Exception | None = None
        """Why it ended, once it has."""
        self.on_end: Callable[[], None] = _nothing
        raw.add_on_close_callback(self._closed)
        raw.add_on_return_callback(self._came_back)

    def check(self) -> None:
        """Raise why it ended, if it has: LinkLost, Refused."""
        if self.ended is not None:
            raise self.ended

    async def call(self, method: str, /, *args: Any, **words: Any) -> Any:
        """Call a method of pika's channel that the broker answers; LinkLost, Refused."""
        return await self._ask(lambda answer: getattr(self._raw, method)(*args, callback=answer, **words))

    async def get(self, queue: str, delivered: Delivered, wanted: Callable[[], bool]) -> bool:
        """Take one message of a queue, if it is still ``wanted`` when others have theirs; tell whether there was one.

        It is ``delivered`` as it arrives, also to a caller who no longer waits: an acknowledgement of all up to a later
        one must know of it. LinkLost, Refused.
        """
        await self._getting.acquire()  # one at a time, says pika
        if not wanted():
            self._getting.release()
            return False
        answer: asyncio.Future[bool] = self._loop.create_future()
        empty = Basic.GetEmpty

        def none_there(_frame: Any) -> None:
            if not answer.done():
                answer.set_result(False)

        def take(*message: Any) -> None:
            delivered(*message)
            if not answer.done():
                answer.set_result(True)

        def answered(_answer: object) -> None:
            if not answer.cancelled():
                answer.exception()  # else asyncio complains where nobody waits any more
            self._waiting.discard(answer)
            self._raw.connection.callbacks.remove(self._raw.channel_number, empty, none_there)
            self._getting.release()

        answer.add_done_callback(answered)
        self._waiting.add(answer)
        try:
            self.check()
            self._raw.add_callback(none_there, [empty], one_shot=True)
            self._raw.basic_get(queue, take)
        except AMQPError as error:
            answer.cancel()
            raise LinkLost(str(error)) from error
        except BaseException:
            answer.cancel()
            raise
        return await asyncio.shield(answer)

    async def publish(self, messages: Sequence[Message]) -> list[Message]:
        """Publish, wait until the broker has them all, and give those that no queue took.

        LinkLost when the channel ends first, Unconfirmed when the broker refuses one.
        """
        self.check()
        batch = _Batch(len(messages), self._loop.create_future())
        self._batches.add(batch)
        try:
            for number, (exchange, key, body, properties) in enumerate(messages, 1):
                self._tag += 1
                self._pending[self._tag] = batch
                self._raw.basic_publish(exchange, key, body, properties, mandatory=True)
                if number % BURST == 0:
                    await asyncio.sleep(0)
            if messages:
                await batch.done
        except AMQPError as error:
            raise LinkLost(str(error)) from error
        finally:
            self._batches.discard(batch)
            if batch.done.done():
                batch.done.exception()  # told to nobody, if the loop above failed first
        if batch.refused:
            raise Unconfirmed(batch.refused, len(messages))
        return self._take_returned(messages) if self._returned else []

    def ack(self, tag: int, *, multiple: bool = False) -> None:
        """Acknowledge a delivery, or all up to it; of a channel that has ended nothing happens."""
        if self.ended is None:
            self._raw.basic_ack(tag, multiple=multiple)

    async def consume(
        self,
        queue: str,
        delivered: Delivered,
        cancelled: Callable[[str], None],
        prefetch: int,
        arguments: dict[str, Any] | None = None,
        begun: Callable[[str], None] = _ignored,
    ) -> str:
        """Have messages of a queue pushed, at most ``prefetch`` unacknowledged; give the consumer's tag.

        ``begun`` hears of the tag at once: whoever gives up waiting for the broker has a consumer all the same.
        """
        tag = ""

        def begin(answer: Callable[[Any], None]) -> None:
            nonlocal tag
            self._raw.basic_qos(prefetch_count=prefetch, callback=_ignored)
            tag = self._raw.basic_consume(queue, delivered, arguments=arguments, callback=answer)
            self._cancels[tag] = cancelled
            begun(tag)

        await self._ask(begin)
        return tag

    async def stop_consuming(self, tag: str) -> None:
        """Have no more pushed; what was is still ours, also what arrives before the broker has heard of it."""
        self._cancels.pop(tag, None)

        def end(answer: Callable[[Any], None]) -> None:
            if tag not in self._raw.consumer_tags:
                answer(None)  # the broker has ended it, and says no more
                return
            self._raw.basic_cancel(tag, callback=answer)
            # pika would reject what arrives meanwhile, and the broker would count it as delivered in vain.
            self._raw._cancelled.discard(tag)  # noqa: SLF001 - it has no switch

        await self._ask(end)

    async def close(self) -> None:
        """End it; unacknowledged deliveries go back to their queues."""
        self.end()
        await asyncio.sleep(0)

    def end(self) -> None:
        """Begin to end it."""
        if self.ended is None and self._raw.is_open:
            self._raw.close()

    async def open(self) -> None:
        """Bring it into confirm mode."""
        self._raw.add_on_cancel_callback(self._cancelled)
        await self._ask(lambda answer: self._raw.confirm_delivery(self._confirm, callback=answer))

    async def _ask(self, ask: Callable[[Callable[[Any], None]], object]) -> Any:
        """Ask something, and give what is answered; LinkLost, Refused."""
        self.check()
        answer: asyncio.Future[Any] = self._loop.create_future()
        self._waiting.add(answer)
        try:
            ask(_answering(answer))
            return await answer
        except AMQPError as error:
            raise LinkLost(str(error)) from error
        finally:
            self._waiting.discard(answer)

    def _cancelled(self, frame: Any) -> None:
        tag: str = frame.method.consumer_tag
        if cancelled := self._cancels.pop(tag, None):
            cancelled(tag)

    def _confirm(self, frame: Any) -> None:
        method = frame.method
        tag: int = method.delivery_tag
        refused = type(method) is Basic.Nack
        if not method.multiple:
            self._count(self._pending.pop(tag, None), refused=refused)
            return
        # Tags rise, and a dictionary keeps their order.
        done = []
        for pending in self._pending:
            if pending > tag:
                break
            done.append(pending)
        for one in done:
            self._count(self._pending.pop(one), refused=refused)

    def _count(self, batch: _Batch | None, *, refused: bool) -> None:
        if batch is None:
            return
        batch.left -= 1
        batch.refused += refused
        if batch.left == 0 and not batch.done.done():
            batch.done.set_result(None)

    def _came_back(self, _channel: Any, method: Any, properties: Any, body: bytes) -> None:
        self._returned[method.routing_key, properties.message_id, body] += 1

    def _take_returned(self, messages: Sequence[Message]) -> list[Message]:
        ours: list[Message] = []
        for message in messages:
            sent = (message.key, message.properties.message_id, message.body)
            if self._returned[sent] > 0:
                self._returned[sent] -= 1
                ours.append(message)
        self._returned = +self._returned
        return ours

    def _closed(self, _raw: Any, reason: BaseException) -> None:
        if isinstance(reason, ChannelClosedByBroker):
            self.ended = Refused(reason.reply_code, reason.reply_text)
        else:
            self.ended = LinkLost(str(reason) or type(reason).__name__)
        for answer in [*self._waiting, *(batch.done for batch in self._batches)]:
            if not answer.done():
                answer.set_exception(self.ended)
        self._pending.clear()
        self.on_end()


_Connection: Any = AsyncioConnection


class _Gathering(_Connection):  # type: ignore[misc]
    """Sends once a turn of the loop: pika alone sends each of a message's three frames by itself, a packet each."""

    def __init__(self, *words: Any) -> None:
        self._gathered: list[bytes] = []
        super().__init__(*words)

    def _adapter_emit_data(self, data: bytes) -> None:
        if not self._gathered:
            self.ioloop.call_soon(self._send_gathered)
        self._gathered.append(data)

    def _send_gathered(self) -> None:
        data, self._gathered = self._gathered, []
        if self._transport is not None:  # else the connection has ended meanwhile
            self._transport.write(b"".join(data))

    def cut(self) -> None:
        """End it without a farewell."""
        if self._transport is not None:
            self._transport.abort()


class Link:
    """One connection."""

    def __init__(self, raw: AsyncioConnection, loop: asyncio.AbstractEventLoop) -> None:
        self._raw: Any = raw
        self._loop = loop
        self.blocked: str | None = None
        """Why the broker takes no messages just now, if it said so."""
        self.ended: asyncio.Future[None] = loop.create_future()
        self._raw.add_on_connection_blocked_callback(self._block)
        self._raw.add_on_connection_unblocked_callback(self._unblock)

    @classmethod
    async def open(cls, parameters: Any) -> Link:
        """Connect; LinkLost with the reason when that fails."""
        loop = asyncio.get_running_loop()
        opened: asyncio.Future[Any] = loop.create_future()
        ended: list[Link] = []

        def fail(_raw: Any, error: BaseException) -> None:
            if not opened.done():
                error = _cause(error)
                told = advice(error)
                opened.set_exception(LinkLost(_words(error)) if told is None else Untrusted(told))

        def end(_raw: Any, _error: BaseException) -> None:
            for link in ended:
                if not link.ended.done():
                    link.ended.set_result(None)

        _Gathering(parameters, _answering(opened), fail, end, loop)
        link = cls(await opened, loop)
        ended.append(link)
        return link

    @property
    def alive(self) -> bool:
        """Whether it can be used."""
        return bool(self._raw.is_open)

    @property
    def server(self) -> dict[str, Any]:
        """What the broker says of itself."""
        told: dict[str, Any] = self._raw.server_properties or {}
        return told

    async def channel(self) -> Channel:
        """Open a channel in confirm mode; LinkLost."""
        opened: asyncio.Future[Any] = self._loop.create_future()
        try:
            self._raw.channel(on_open_callback=_answering(opened))
        except AMQPError as error:
            raise LinkLost(str(error)) from error
        await asyncio.wait((opened, self.ended), return_when=asyncio.FIRST_COMPLETED)
        if not opened.done():
            raise LinkLost("the connection ended")
        channel = Channel(opened.result(), self._loop)
        await channel.open()
        return channel

    async def close(self) -> None:
        """End it."""
        if self.alive:
            self._raw.close()
            _, silent = await asyncio.wait((self.ended,), timeout=2)
            if silent:  # a broker in alarm does not read from who has published
                self._raw.cut()
                await asyncio.wait((self.ended,), timeout=2)

    def _block(self, _raw: Any, frame: Any) -> None:
        self.blocked = str(frame.method.reason)

    def _unblock(self, _raw: Any, _frame: Any) -> None:
        self.blocked = None


def _answering(future: asyncio.Future[Any]) -> Callable[[Any], None]:
    def answer(value: Any) -> None:
        if not future.done():
            future.set_result(value)

    return answer


def _cause(error: BaseException) -> BaseException:
    """Give what went wrong; pika wraps the cause of a failed connection several times."""
    while (inner := _wrapped(error)) is not None:
        error = inner
    return error


def _wrapped(error: BaseException) -> BaseException | None:
    # Some of pika's errors have a text of their own only where they wrap none.
    held = getattr(error, "exceptions", None) or getattr(error, "exception", None) or error.args
    inner = held[-1] if isinstance(held, (list, tuple)) and held else held
    return inner if isinstance(inner, BaseException) else None


def _words(error: BaseException) -> str:
    return f"{type(error).__name__}: {error}" if str(error) else type(error).__name__


def _nothing() -> None: ...
