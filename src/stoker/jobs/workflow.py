"""Workflows: steps that need each other, with results passed on. Defined here, started by an application."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar

from stoker.errors import WorkflowError
from stoker.jobs.definition import JobDefinition
from stoker.jobs.draft import Draft
from stoker.jobs.options import Defaults
from stoker.jobs.passing import Need, Step, check_own, needs_of

if TYPE_CHECKING:
    from stoker.core.flow import Policy

P = ParamSpec("P")
R = TypeVar("R")
MOST_STEPS = 1_000


class Workflow:
    """Steps and their order. ``app.start(workflow)`` stores it; from then on the store's workers see to it.

    ``on_success`` is enqueued when all steps completed (failures aside that the steps behind them put up with),
    ``on_failure`` for each step that was discarded, ``on_complete`` when nothing goes on any more.
    """

    def __init__(
        self,
        name: str = "",
        *,
        on_success: Draft[Any] | None = None,
        on_failure: Draft[Any] | None = None,
        on_complete: Draft[Any] | None = None,
    ) -> None:
        self.name = name
        self.callbacks = {"on_success": on_success, "on_failure": on_failure, "on_complete": on_complete}
        self.steps: dict[str, Step[Any]] = {}

    def add(self, job: JobDefinition[P, R], /, *args: P.args, **kwargs: P.kwargs) -> Step[R]:
        """Add a step that calls a job with these arguments, of which some may be results of other steps.

        Options go with `using`: ``flow.add(resize.using(queue="images"), fetch.result)``. Raises ArgumentsError as
        `draft` does, WorkflowError for results where none can be taken.
        """
        if not isinstance(job, JobDefinition):
            raise WorkflowError(f"a step is a job and its arguments, not {job!r}: write flow.add(job, …)")
        text, given = job.encode_around(args, kwargs)
        needs = needs_of(given)
        for need in needs:
            check_own(self.steps, need.step, job.name)
            if job.codecs or need.step.draft.definition.codecs:
                raise WorkflowError(
                    f"step {job.name} cannot take the result of {need.step.key}: one of them has codecs, so nobody can "
                    "put that among the arguments; pass an id by which the job finds it"
                )
        return self._add(Draft(job, text, job.terms), needs)

    def add_draft(self, draft: Draft[R], /) -> Step[R]:
        """Add a step whose arguments are all known."""
        return self._add(draft, [])

    def _add(self, draft: Draft[R], needs: Sequence[Need]) -> Step[R]:
        if draft.terms.transaction is not None:
            raise WorkflowError(f"step {draft.name} has a transaction of its own: a workflow is stored as a whole")
        if draft.definition.merged(Defaults()).unique is not None:
            raise WorkflowError(
                f"step {draft.name} is unique, and where its key is taken there would be no job to wait for; write "
                ".using(unique=False), or make the start of the workflow unique"
            )
        if len(self.steps) >= MOST_STEPS:
            raise WorkflowError(f"more than {MOST_STEPS} steps: let a step open a batch for what is many and alike")
        alike = sum(step.draft.name == draft.name for step in self.steps.values())
        key = draft.name if not alike else f"{draft.name}-{alike + 1}"
        step = Step(self.steps, key, draft, needs)
        self.steps[key] = step
        return step

    def __repr__(self) -> str:
        return f"<workflow {self.name or 'without name'} of {len(self.steps)} steps>"


def chain(*drafts: Draft[Any], name: str = "", on_failure: Policy = "stop") -> Workflow:
    """Give the workflow that performs jobs one after the other; ``on_failure`` says what if one of them fails."""
    if not drafts:
        raise WorkflowError("a chain of nothing: write chain(first.draft(…), second.draft(…))")
    flow = Workflow(name)
    before: Step[Any] | None = None
    for draft in drafts:
        if not isinstance(draft, Draft):
            raise WorkflowError(f"a chain is made of drafts, not of {draft!r}: write chain(first.draft(…), …)")
        step = flow.add_draft(draft)
        before = step if before is None else step.after(before, on_failure=on_failure)
    return flow
