"""A mail server that keeps what it is sent: mail goes in, and never further.

`python -m examples.signup.sink` runs it by itself and prints a line for each mail.
"""

from __future__ import annotations

import asyncio
import os
from collections import Counter
from collections.abc import AsyncIterator, Collection, Iterable
from contextlib import asynccontextmanager
from email import message_from_bytes
from email.policy import SMTP as MAIL

from aiosmtpd.smtp import SMTP, Envelope, Session

from examples.signup.people import Person, people

REFUSALS = 2
"""How often a busy mailbox refuses before it takes a mail."""


class Mailbox:
    """All that was delivered. ``lose`` are addresses whose mail is accepted and thrown away."""

    def __init__(self, owners: Iterable[Person], *, lose: Collection[str] = ()) -> None:
        self.delivered: list[tuple[str, bytes]] = []
        self._kinds = {person.email: person.mailbox for person in owners}
        self._refused: Counter[str] = Counter()
        self._lose = lose

    # aiosmtpd finds these two by their names, and calls them with these arguments.

    async def handle_RCPT(  # noqa: N802
        self, server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        kind = self._kinds.get(address, "open")
        if kind == "unknown":
            return "550 no such mailbox"
        if kind == "busy" and self._refused[address] < REFUSALS:
            self._refused[address] += 1
            return "451 mailbox busy, try again later"
        envelope.rcpt_tos.append(address)
        return "250 fine"

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:  # noqa: N802
        mail = envelope.original_content or b""
        for address in envelope.rcpt_tos:
            if address not in self._lose:
                self.arrived(address, mail)
        return "250 delivered"

    def arrived(self, address: str, mail: bytes) -> None:
        """Take one mail in."""
        self.delivered.append((address, mail))


class Printing(Mailbox):
    """A mailbox that says what arrives."""

    def arrived(self, address: str, mail: bytes) -> None:
        super().arrived(address, mail)
        print(f"{address}: {message_from_bytes(mail, policy=MAIL)['Subject']}", flush=True)


@asynccontextmanager
async def listening(mailbox: Mailbox, port: int = 0) -> AsyncIterator[int]:
    """Take mail on 127.0.0.1 for as long as the block lasts; gives the port, a free one where 0 is asked for."""
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: SMTP(mailbox, hostname="localhost", loop=loop), "127.0.0.1", port)
    async with server:
        yield server.sockets[0].getsockname()[1]


async def main() -> None:
    async with listening(Printing(people()), int(os.environ.get("SMTP_PORT", "8025"))) as port:
        print(f"taking mail on 127.0.0.1:{port}", flush=True)
        await asyncio.Event().wait()


if __name__ == "__main__":
    try:
        asyncio.run(main())
    except KeyboardInterrupt:
        print("stopped")
