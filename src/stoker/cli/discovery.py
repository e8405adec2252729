"""Where the application is: what names it, and how the name becomes an object. Nothing is guessed."""

from __future__ import annotations

import contextlib
import importlib
import sys
import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import ModuleType
from typing import Any, Final, NamedTuple

from stoker.app.stoker import Stoker
from stoker.cli.exits import BrokenCode
from stoker.errors import ConfigurationError, StokerError

VARIABLE: Final = "STOKER_APP"
NOWHERE: Final = (
    f"no application: give -A MODULE[:ATTR], set {VARIABLE}, "
    'or write app = "MODULE[:ATTR]" under [tool.stoker] in pyproject.toml'
)
_PACKAGE: Final = Path(__file__).parents[1]


class Place(NamedTuple):
    """What names the application, and the folders that its modules may be in."""

    name: str
    source: str
    folders: tuple[Path, ...]


class Found(NamedTuple):
    """An application and its module."""

    app: Stoker[Any]
    module: ModuleType

    @property
    def home(self) -> Path:
        """The file that the application is defined in; the current folder where there is none."""
        return Path(self.module.__file__).resolve() if self.module.__file__ else Path.cwd()

    @property
    def package(self) -> str:
        """The top-level package of the application's code."""
        return self.module.__name__.partition(".")[0]


def find_place(given: str | None, folder: Path, environ: Mapping[str, str]) -> Place | None:
    """Say what names the application: ``-A``, STOKER_APP, or the nearest pyproject.toml; None if nothing does."""
    if given:
        return Place(given, "-A", (folder,))
    if environ.get(VARIABLE):
        return Place(environ[VARIABLE], VARIABLE, (folder,))
    for parent in (folder, *folder.parents):
        file = parent / "pyproject.toml"
        if file.is_file():
            name = _named_in(file)
            return Place(name, str(file), tuple(dict.fromkeys((parent, folder)))) if name else None
    return None


def load(place: Place) -> Found:
    """Import the application; ConfigurationError when it is not there, BrokenCode when its code raises."""
    name, colon, attribute = place.name.partition(":")
    _refuse_shadow(place.folders)
    _put_on_path(place.folders)
    module = import_module(name, place.source)
    if not colon:
        return Found(_only_app(module, place), module)
    found = attribute_of(module, attribute, place.source)
    if not isinstance(found, Stoker):
        raise ConfigurationError(
            f"{place.name} ({place.source}) is a {type(found).__name__}, not a Stoker{_apps_in(module)}"
        )
    return Found(found, module)


def import_module(name: str, source: str) -> ModuleType:
    """Import a module that a user named; ``source`` says where. Errors as for `load`."""
    if not name or not all(part.isidentifier() for part in name.split(".")):
        hint = f"; write {_as_module(name)}" if name.endswith(".py") else ""
        raise ConfigurationError(f"{name!r} ({source}) is no module name{hint}")
    with broken_code(f"{name} ({source})"):
        try:
            return importlib.import_module(name)
        except ModuleNotFoundError as error:
            if error.name is None or not f"{name}.".startswith(f"{error.name}."):
                raise
            raise ConfigurationError(
                f"no module named {error.name!r} ({source}: {name}); looked in {Path.cwd()} and in what is installed"
            ) from None


def attribute_of(module: ModuleType, path: str, source: str) -> object:
    """Give what a dotted path names in a module; ConfigurationError when there is no such thing."""
    found: object = module
    for step in path.split("."):
        if not hasattr(found, step):
            raise ConfigurationError(f"{module.__name__} ({source}) has no {path!r}{_apps_in(module)}")
        found = getattr(found, step)
    return found


@contextlib.contextmanager
def broken_code(what: str) -> Iterator[None]:
    """Turn whatever the application's modules raise while they are imported into BrokenCode."""
    try:
        yield
    except StokerError:
        raise
    except (Exception, SystemExit) as error:
        raise BrokenCode(f"{what} cannot be imported: {type(error).__name__}: {error}") from error


def _named_in(file: Path) -> str | None:
    try:
        name = tomllib.loads(file.read_text(encoding="utf-8")).get("tool", {}).get("stoker", {}).get("app")
    except (OSError, ValueError) as error:
        raise ConfigurationError(f"{file} cannot be read: {error}") from error
    if name is not None and not isinstance(name, str):
        raise ConfigurationError(f'{file}: [tool.stoker] app must be "MODULE[:ATTR]"')
    return name


def _refuse_shadow(folders: tuple[Path, ...]) -> None:
    for folder in folders:
        file = folder / "stoker.py"
        if file.is_file() and _PACKAGE not in file.parents:
            raise ConfigurationError(f"{file} hides the package stoker from every module beside it: rename the file")


def _put_on_path(folders: tuple[Path, ...]) -> None:
    for folder in reversed(folders):
        if str(folder) not in sys.path:
            sys.path.insert(0, str(folder))
    importlib.invalidate_caches()


def _only_app(module: ModuleType, place: Place) -> Stoker[Any]:
    found = {id(one): one for one in vars(module).values() if isinstance(one, Stoker)}
    if len(found) == 1:
        return next(iter(found.values()))
    named = getattr(module, "app", None)
    if isinstance(named, Stoker):
        return named
    if not found:
        raise ConfigurationError(f"{place.name} ({place.source}) has no Stoker; name the module that has one")
    raise ConfigurationError(f"{place.name} ({place.source}) has several Stokers{_apps_in(module)}")


def _apps_in(module: ModuleType) -> str:
    names = [name for name, one in vars(module).items() if isinstance(one, Stoker)]
    return f"; write {' or '.join(f'{module.__name__}:{name}' for name in names)}" if names else ""


def _as_module(file: str) -> str:
    return ".".join(part for part in Path(file).with_suffix("").parts if part not in {".", "/"})
