"""What a workflow passes on has the type that the step returns."""

from __future__ import annotations

from typing import assert_type

from stoker import Context, Step, Stoker, Workflow, chain

app: Stoker[None] = Stoker("memory://")


@app.job
def fetch(site: str) -> list[str]:
    return [site]


@app.job
async def count(ctx: Context, pages: list[str], *, at_least: int = 0) -> int:
    return max(at_least, len(pages))


@app.job
def report(counts: list[int], title: str | None = None) -> None: ...


flow = Workflow("survey", on_success=report.draft([1]))
pages = flow.add(fetch, "example.org")
assert_type(pages, Step[list[str]])
assert_type(pages.result, list[str])
assert_type(pages.result_or_none, list[str] | None)
number = flow.add(count.using(queue="slow"), pages.result, at_least=1)
assert_type(number, Step[int])
flow.add(report, [number.result, 2], title="all").after(pages, number, on_failure="skip")
flow.add(count, number.result)  # error: mypy arg-type; pyright reportArgumentType
flow.add(count, pages.result_or_none)  # error: mypy arg-type; pyright reportArgumentType
flow.add(count, pages)  # error: mypy arg-type; pyright reportArgumentType
flow.add(report, [pages.result])  # error: mypy list-item; pyright reportArgumentType
flow.add(fetch)  # error: mypy call-arg; pyright reportCallIssue
number.after(pages, on_failure="go")  # error: mypy arg-type; pyright reportArgumentType

assert_type(chain(fetch.draft("a"), report.draft([])), Workflow)
chain(fetch)  # error: mypy arg-type; pyright reportArgumentType
batch = app.start(flow)
for handle in batch.add(count.draft(["a"]), count.draft(["b"])):
    assert_type(handle.result(timeout=1), int)
app.start(batch)  # error: mypy arg-type; pyright reportArgumentType
