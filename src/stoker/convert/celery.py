"""Converts the source of a Celery project."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import libcst as cst

from stoker.convert import beat, configuration
from stoker.convert.calls import NotMoved
from stoker.convert.importing import renewed
from stoker.convert.project import Project
from stoker.convert.report import Conversion, Converted, Remark
from stoker.convert.rewriting import Rewriter
from stoker.convert.source import Source
from stoker.errors import ConfigurationError

_SKIPPED = frozenset({".git", ".venv", "venv", "node_modules", "__pycache__", "build", "dist", "migrations"})


def convert(paths: Sequence[Path], app: str | None = None) -> Conversion:
    """Convert files and folders of one project; nothing is written.

    ``app`` (``module:name``) is the application that jobs belong to; without it that which is made of the project's own
    Celery application. Raises ConfigurationError where a file cannot be read or there is no application.
    """
    sources = [Source(path, str(path)) for path in _files(paths)]
    project = Project(sources, app)
    if project.tasks and not project.app:
        raise ConfigurationError(
            "no Celery application was found, so it is not known what the jobs belong to; give the file that makes it "
            "too, or say which stoker application: --to MODULE:NAME"
        )
    entries = _entries(project)
    files: list[Converted] = []
    remarks: list[Remark] = []
    jobs = calls = 0
    for source in filter(project.concerns, sources):
        rewriter = Rewriter(project, source, entries.get(source.module, []))
        tree = source.tree.visit(rewriter)
        tree, still = renewed(tree, source, rewriter.still_used(), _wanted(project, rewriter))
        remarks += [*rewriter.remarks, *still]
        jobs, calls = jobs + rewriter.jobs, calls + rewriter.calls
        if tree.code != source.text:
            files.append(Converted(source.path, source.text, tree.code))
    return Conversion(files, sorted(set(remarks)), jobs, calls)


def _wanted(project: Project, rewriter: Rewriter) -> Iterator[tuple[str, str, str | None]]:
    for name in sorted(rewriter.needs - {"logging"}):
        yield "stoker", name, None
    if "logging" in rewriter.needs:
        yield "logging", "", None
    if rewriter.needs_app:
        module, _, name = project.app.rpartition(".")
        yield module, name, None if rewriter.app == name else rewriter.app


def _entries(project: Project) -> dict[str, list[str]]:
    """Give the periodic entries of all beat schedules, for each module the statements behind its jobs."""
    found: dict[str, list[str]] = {}
    for source in project.sources:
        for schedule in configuration.schedules(source):
            for item in schedule.elements:
                if not isinstance(item, cst.DictElement):
                    continue
                try:
                    entry = beat.entry_of(project, source, item)
                except NotMoved:
                    continue  # said where the file is rewritten
                found.setdefault(entry.task.source.module, []).append(entry.said)
    return found


def _files(paths: Sequence[Path]) -> list[Path]:
    found: dict[Path, None] = {}
    for path in paths:
        if not path.exists():
            raise ConfigurationError(f"{path}: there is no such file or folder")
        inside = sorted(path.rglob("*.py")) if path.is_dir() else [path]
        found |= dict.fromkeys(one for one in inside if not _SKIPPED & set(one.relative_to(path).parts[:-1]))
    return list(found)
