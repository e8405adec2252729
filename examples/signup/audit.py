"""Whether the mailbox and the store tell the same story."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

from examples.signup.people import Person


def differences(people: Sequence[Person], delivered: Iterable[str], states: Mapping[str, int]) -> list[str]:
    """Name all that is not as it must be: each address one mail, unknown ones none, and as many jobs as that."""
    mails = Counter(delivered)
    wanted = {person.email: 0 if person.mailbox == "unknown" else 1 for person in people}
    found = [
        f"{address}: {mails[address]} mails in the mailbox, expected {number}"
        for address, number in wanted.items()
        if mails[address] != number
    ]
    found += [f"{address}: a mail for somebody who never signed up" for address in mails if address not in wanted]
    sent = sum(wanted.values())
    expected = {"completed": sent, "discarded": len(wanted) - sent}
    for state in sorted({*states, *expected}):
        if states.get(state, 0) != expected.get(state, 0):
            found.append(f"{states.get(state, 0)} jobs are {state}, expected {expected.get(state, 0)}")
    return found
