"""What variables hold: signatures that wait for their call, and the handles that calls give."""

from __future__ import annotations

from pathlib import Path
from textwrap import dedent
from typing import Final

import pytest

from stoker.convert.report import Conversion
from tests.unit.convert.test_celery import of

MOVED: Final = {
    "the next statement": ("sig = work.s(order.total)\n    sig.apply_async()", "work.enqueue(order.total)"),
    "literals": (
        "sig = work.s(1, [2], y=-3)\n    order.total = 0\n    sig.delay()",
        "order.total = 0\n    work.enqueue",
    ),
    "what changes nothing between": (
        "body = work.s(order.id)\n    header = [work.s(n) for n in order]\n    chord(header)(body)",
        "flow.add(work, [step.result for step in steps], order.id)",
    ),
}
KEPT: Final = {
    "an attribute that changes": "sig = work.s(order.total)\n    order.total = 0\n    sig.apply_async()",
    "a name that changes": "sig = work.s(order)\n    order = None\n    sig.apply_async()",
    "a call between": "sig = work.s(order)\n    order.clear()\n    sig.apply_async()",
    "a call before it": "sig = work.s(order.total)\n    print(order.pop(), sig.delay())",
    "a loop": "sig = work.s(order.pop())\n    for n in range(3):\n        sig.delay()",
    "a comprehension": "sig = work.s(order.pop())\n    [sig.delay() for n in range(3)]",
    "a lambda": "sig = work.s(order.pop())\n    return lambda: sig.delay()",
    "a branch": "sig = work.s(order.pop())\n    if order:\n        sig.delay()",
    "a short circuit": "sig = work.s(order.pop())\n    order and sig.delay()",
    "another block": "with order:\n        sig = work.s(order.total)\n    sig.delay()",
    "a whole chain": "sig = chain(work.si(order.total), work.si(1))\n    order.total = 0\n    sig.delay()",
}
OTHERS: Final = {
    "another assignment": """\
        def f(key):
            result = work.delay(key)
            result = cache.client()
            return result.get(key)
        """,
    "a parameter": """\
        handle = work.delay()
        def f(handle):
            return handle.get("a")
        """,
    "a loop's variable": """\
        def f(key):
            one = work.delay(key)
            for one in caches:
                one.get(key)
        """,
    "with": """\
        def f(key):
            one = work.delay(key)
            with caches as one:
                one.get(key)
        """,
    "a comprehension": """\
        def f(key):
            one = work.delay(key)
            return [one.get(key) for one in caches]
        """,
    "a lambda": """\
        def f(key):
            one = work.delay(key)
            return lambda one: one.get(key)
        """,
    "an import": """\
        def f(key):
            one = work.delay(key)
            from caches import one
            return one.get(key)
        """,
    "another function": """\
        def f(key):
            one = work.delay(key)
        def g(one):
            return one.get(key)
        """,
}
UNCERTAIN: Final = {
    "branches on one line": """\
        def f(key):
            if key: one = cache.client()
            else: one = work.delay(key)
            return one.get(key)
        """,
    "the name of something else": """\
        def f(key):
            if key:
                one = work.delay(key)
            else:
                one = cache
            return one.get(key)
        """,
    "a list in place": """\
        def f(key):
            return [one.get() for one in [work.delay(n) for n in key]]
        """,
    "a branch": """\
        def f(key):
            one = work.delay(key)
            if key:
                one = cache.client()
            return one.get(key)
        """,
    "the other branch": """\
        def f(key):
            if key:
                one = cache.client()
            else:
                one = work.delay(key)
            return one.get(key)
        """,
    "a loop": """\
        def f(key):
            one = work.delay(key)
            while key:
                one.get(key)
                one = cache.client()
        """,
    "the time before": """\
        def f(key):
            one = None
            for n in key:
                if one is not None:
                    one.get(key)
                one = work.delay(n)
        """,
    "a global one": """\
        one = work.delay()
        def f(key):
            return one.get(key)
        """,
    "a name of the function around": """\
        def f(key):
            one = work.delay()
            def g():
                return one.get(key)
        """,
}
ASKED: Final = {
    "one = work.delay(1)\nprint(one.ready())": ("one.ready", "handle.fetch().state.final"),
    "one = work.delay(1)\nprint(one.successful())": ("one.successful", "State.COMPLETED"),
    "one = work.delay(1)\nprint(one.state)": ("one.state", "handle.fetch().state"),
    "one = work.delay(1)\nprint(one.children)": ("one.children", "see what JobHandle has"),
    "print(work.delay(1).status)": ("work.delay(1).status", "handle.fetch().state"),
    "one = work.delay(1)\none.get(propagate=False)": ("get(propagate=False)", "raises JobFailed"),
    "one = work.delay(1)\none.get(5, False)": ("get(propagate=False)", "raises JobFailed"),
    "one = work.delay(1)\none.get(callback=print)": ("get(callback=print)", "handle.result"),
    "one = work.delay(1)\none.revoke(terminate=True)": ("revoke(terminate=True)", "ends it for certain"),
    "one = work.delay(1)\nlater(one.get)": ("one.get", "handle.result"),
    "many = group(work.s(1))()\nprint(many.get())": ("many.get", "a list of handles"),
    "print(group(work.s(1))().join())": ("group(work.s(1))().join", "a list of handles"),
    "flow = chain(work.si(1), work.si(2))()\nflow.get()": ("flow.get", "a batch"),
    "flow = chain(work.s(1), work.s(2))()\nflow.get()": ("flow.get", "a batch"),
    "flow = chord([work.s(1)], work.si(2))()\nflow.get()": ("flow.get", "a batch"),
    "many = [work.delay(1)]\nfor one in many:\n    one.wait()": ("one.wait", "handle.result"),
}
CERTAIN: Final = {
    "one = work.delay(1)\none.get(5)": "one.result(timeout=5)",
    "one = work.delay(1)\none.get(timeout=5, interval=1, propagate=True)": "one.result(timeout=5)",
    "one = work.delay(1)\none.revoke(terminate=False)": "one.cancel()",
    "one = None\nif x:\n    one = work.delay(1)\nif one:\n    one.get()": "one.result(timeout=None)",
    "if x:\n    one = work.delay(1)\nelse:\n    one = work.delay(2)\none.get()": "one.result(timeout=None)",
    "many = [work.delay(n) for n in x]\ny = [one.get() for one in many]": "[one.result(timeout=None) for one in many]",
    "many = group(work.s(n) for n in x)()\nmany[0].get()": "many[0].result(timeout=None)",
    "one: AsyncResult = work.delay(1)\none.get()": "one.result(timeout=None)",
    "one, two = work.delay(1), work.delay(2)\ntwo.get()": "two.result(timeout=None)",
    "one = work.delay(1)\nwith x:\n    one.get()": "one.result(timeout=None)",
    "one = work.delay(1) if x else None\none.get()": "one.result(timeout=None)",
}


def said(found: Conversion) -> list[tuple[str, str]]:
    return [(one.what, one.advice) for one in found.remarks if one.kind == "left"]


@pytest.mark.parametrize(("before", "after"), MOVED.values(), ids=list(MOVED))
def test_a_signature_is_put_where_it_is_run_if_that_changes_nothing(tmp_path: Path, before: str, after: str) -> None:
    text, found = of(tmp_path, f"def f(order):\n    {before}\n")

    assert after in text
    assert found.left == 0


@pytest.mark.parametrize("before", KEPT.values(), ids=list(KEPT))
def test_a_signature_whose_arguments_would_be_evaluated_at_another_time_stays_and_is_told(
    tmp_path: Path, before: str
) -> None:
    text, found = of(tmp_path, f"def f(order):\n    {before}\n")

    assert text == f"def f(order):\n    {before}"
    assert [advice for what, advice in said(found) if what.startswith("work.s")]


@pytest.mark.parametrize("before", OTHERS.values(), ids=list(OTHERS))
def test_what_only_has_the_name_of_a_handle_is_left_alone(tmp_path: Path, before: str) -> None:
    text, found = of(tmp_path, dedent(before))

    assert ".get(" in text
    assert ".result(" not in text
    assert found.left == 0


@pytest.mark.parametrize("before", UNCERTAIN.values(), ids=list(UNCERTAIN))
def test_what_may_be_a_handle_or_not_stays_and_is_told(tmp_path: Path, before: str) -> None:
    text, found = of(tmp_path, dedent(before))

    assert ".result(" not in text
    assert said(found) == [
        ("one.get", "handle.result(timeout=…), if it is the handle of a job here: that is not certain")
    ]


@pytest.mark.parametrize(("before", "told"), ASKED.items())
def test_what_a_handle_does_not_know_is_told(tmp_path: Path, before: str, told: tuple[str, str]) -> None:
    _, found = of(tmp_path, before + "\n")

    ((what, advice),) = [one for one in said(found) if "still used" not in one[0]]
    assert what == told[0]
    assert told[1] in advice


@pytest.mark.parametrize(("before", "after"), CERTAIN.items())
def test_what_is_certainly_a_handle_is_asked_for_its_result(tmp_path: Path, before: str, after: str) -> None:
    text, found = of(tmp_path, before + "\n")

    assert text.endswith(after)
    assert [what for what, _ in said(found) if "still used" not in what] == []
