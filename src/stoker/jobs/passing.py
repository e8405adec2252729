"""Steps of a workflow, and what is passed on from one to another: what stands for a result, and what takes it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Generic, Self, TypeVar, cast

from stoker.errors import WorkflowError
from stoker.jobs.draft import Draft

if TYPE_CHECKING:
    from stoker.core.flow import Policy

R_co = TypeVar("R_co", covariant=True)


class Passed:
    """Stands for the result of a step among the arguments of another."""

    def __init__(self, step: Step[Any], policy: Policy) -> None:
        self.step = step
        self.policy: Policy = policy

    def __repr__(self) -> str:
        return f"<the result of {self.step!r}>"


@dataclass(frozen=True)
class Need:
    """What one step needs of another: see `core.flow.Edge`."""

    step: Step[Any]
    policy: Policy = "stop"
    param: str | None = None
    place: int | None = None


class Step(Generic[R_co]):
    """A step of a workflow: a job, and what it waits for. Made by `Workflow.add`."""

    def __init__(self, steps: Mapping[str, Step[Any]], key: str, draft: Draft[R_co], needs: Sequence[Need]) -> None:
        self._steps = steps
        self.key = key
        """Its name within the workflow: the job's, with a number where there are several."""
        self.draft = draft
        self.needs: list[Need] = list(needs)
        self.awaited = False
        """Whether some step waits for this one."""
        for need in needs:
            need.step.awaited = True

    @property
    def result(self) -> R_co:
        """What its job will return, to be given to another step as an argument of its own, or in a list of such.

        To a type checker it is the result; here it only stands for it. The other step waits, and if this one fails it
        waits until it was retried.
        """
        return cast("R_co", Passed(self, "stop"))

    @property
    def result_or_none(self) -> R_co | None:
        """The same, but None where this step fails: the other one goes on without."""
        return cast("R_co | None", Passed(self, "continue"))

    def after(self, *steps: Step[Any], on_failure: Policy = "stop") -> Self:
        """Begin when these steps are done. What if one of them fails: ``stop``, ``continue`` or ``skip``.

        ``stop`` waits until the other one was retried, ``continue`` goes on all the same, ``skip`` leaves this step
        out, and what comes behind it goes on. WorkflowError for a step of another workflow, or one that waits for this.
        """
        for step in steps:
            check_own(self._steps, step, self.key)
            if on_failure not in ("stop", "continue", "skip"):
                raise WorkflowError(f"step {self.key}: on_failure is {on_failure!r}; it must be stop, continue or skip")
            if circle := _circle(step, self):
                raise WorkflowError(f"a circle: {' → '.join(circle)} wait for each other; leave one out")
            self.needs.append(Need(step, on_failure))
            step.awaited = True
        return self

    def __repr__(self) -> str:
        return f"<step {self.key}>"


def is_passed(value: object) -> bool:
    """Tell whether an argument is a result of a step, or a list of such."""
    return isinstance(value, Passed) or (
        isinstance(value, list | tuple) and bool(value) and all(isinstance(one, Passed) for one in value)
    )


def needs_of(given: Mapping[str, object]) -> list[Need]:
    """Give what the arguments of a step need."""
    needs: list[Need] = []
    for name, value in given.items():
        if isinstance(value, Passed):
            needs.append(Need(value.step, value.policy, name))
        elif isinstance(value, list | tuple):
            needs += [Need(one.step, one.policy, name, place) for place, one in enumerate(value)]
    return needs


def refuse_hidden(job: str, name: str | int, value: object) -> None:
    """Raise WorkflowError where a result is hidden inside a value that is sent as it is, or a step stands for it."""
    if isinstance(value, Step):
        raise WorkflowError(f"{job}: argument `{name}` is {value!r}; give what it returns: .result or .result_or_none")
    inside = value.values() if isinstance(value, Mapping) else value if isinstance(value, list | tuple) else ()
    for one in inside:
        if isinstance(one, Passed):
            raise WorkflowError(
                f"{job}: argument `{name}` holds {one!r} among other values; give a result as an argument of its own, "
                "or in a list of nothing but results"
            )
        refuse_hidden(job, name, one)


def check_own(steps: Mapping[str, Step[Any]], step: Step[Any], asking: str) -> None:
    """Refuse a step of another workflow."""
    if steps.get(getattr(step, "key", "")) is not step:
        raise WorkflowError(f"step {asking} cannot wait for {step!r}: it is no step of this workflow")


def _circle(start: Step[Any], end: Step[Any]) -> list[str]:
    """Give the steps of the circle that ``end`` waiting for ``start`` would make; none if it makes none."""
    # Most steps are wired once and before anybody waits for them: then there is nothing to look through.
    if start is not end and not end.awaited:
        return []
    came_from: dict[Step[Any], Step[Any]] = {start: end}
    to_see = [start]
    while to_see:
        step = to_see.pop()
        if step is end:
            keys = [step.key]
            while (step := came_from[step]) is not end:
                keys.append(step.key)
            return [end.key, *reversed(keys)]
        for need in step.needs:
            if need.step not in came_from:
                came_from[need.step] = step
                to_see.append(need.step)
    return []
