"""Overrides: what operators say of a name is kept, with who said it and when."""

from __future__ import annotations

from stoker.core.capability import Capability
from stoker.core.override import Overriding
from stoker.stores.base import Store
from stoker.testing.contract.base import Another, ContractTests, needs
from stoker.testing.fake_clock import FakeClock

OVERRIDE = Capability.OVERRIDE


def say(store: Store, name: str, text: str | None, by: str = "ada") -> bool:
    """Say something of a name."""
    return store.run(store.override(name, text, by))


class OverrideContract(ContractTests):
    @needs(OVERRIDE)
    def test_what_is_said_of_a_name_is_kept_with_who_said_it_and_when(
        self, store: Store, another: Another, clock: FakeClock
    ) -> None:
        assert say(store, "work", '{"timeout":1}')

        other = another()
        assert other.run(other.overrides()) == [Overriding("work", '{"timeout":1}', "ada", clock.now())]

    @needs(OVERRIDE)
    def test_a_newer_word_replaces_the_older_and_names_are_apart(self, store: Store, clock: FakeClock) -> None:
        say(store, "work", "{}")
        say(store, "other", "{}")
        clock.advance("1m")
        assert say(store, "work", '{"max_attempts":2}', "bob")

        found = store.run(store.overrides())
        assert [(one.name, one.text, one.by) for one in found] == [
            ("other", "{}", "ada"),
            ("work", '{"max_attempts":2}', "bob"),
        ]

    @needs(OVERRIDE)
    def test_every_change_is_in_the_history(self, store: Store, clock: FakeClock) -> None:
        said: list[tuple[str | None, str]] = [("{}", "ada"), ('{"timeout":1}', "bob"), (None, "eve")]
        for text, by in said:
            clock.advance("1m")
            assert say(store, "work", text, by)
            say(store, "other", text, by)

        assert store.run(store.overrides()) == []
        found = store.run(store.override_history("work", 10))
        assert [(one.text, one.by) for one in found] == said[::-1]
        assert found[0].at - found[1].at == 60_000_000
        assert store.run(store.override_history("work", 1)) == found[:1]
        assert store.run(store.override_history("unheard-of", 1)) == []

    @needs(OVERRIDE)
    def test_what_changes_nothing_is_not_written_down(self, store: Store) -> None:
        assert say(store, "work", None) is False
        assert [say(store, "work", "{}"), say(store, "work", "{}", "bob")] == [True, False]

        (only,) = store.run(store.override_history("work", 10))
        assert only.by == "ada"
