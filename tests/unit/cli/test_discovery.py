"""The application is found where it is named, and nowhere else."""

from __future__ import annotations

import pytest

from tests.unit.cli.conftest import Shell

ONE = 'from stoker import Stoker\n{name} = Stoker("memory://", name="{name}")\n'


def checked(stoker: Shell, *args: str) -> str:
    """Give what `config check` says, with the application that was found."""
    result = stoker(*args, "config", "check")
    assert result.exit_code == 0, result.output
    return result.stdout


def refused(stoker: Shell, *args: str) -> str:
    result = stoker(*args, "worker")
    assert result.exit_code == 2, result.output
    return result.stderr


def test_the_option_goes_before_the_variable_and_the_file(stoker: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    stoker.write("one.py", ONE.format(name="app") + "@app.job\ndef first() -> None: ...\n")
    monkeypatch.setenv("STOKER_APP", "two")
    stoker.write("pyproject.toml", '[tool.stoker]\napp = "three"\n')

    assert stoker.answer("-A", "one", "config", "check")["jobs"] == ["first"]


def test_the_variable_goes_before_the_file(stoker: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    stoker.write("two.py", ONE.format(name="app") + "@app.job\ndef second() -> None: ...\n")
    monkeypatch.setenv("STOKER_APP", "two")
    stoker.write("pyproject.toml", '[tool.stoker]\napp = "three"\n')

    assert stoker.answer("config", "check")["jobs"] == ["second"]


def test_the_nearest_pyproject_names_it_from_a_folder_below(stoker: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    stoker.write("three.py", ONE.format(name="app") + "@app.job\ndef third() -> None: ...\n")
    stoker.write("pyproject.toml", '[tool.stoker]\napp = "three"\n')
    stoker.write("docs/index.md", "")
    monkeypatch.chdir(stoker.folder / "docs")

    assert stoker.answer("config", "check")["jobs"] == ["third"]


def test_only_the_nearest_pyproject_counts(stoker: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    stoker.write("pyproject.toml", '[tool.stoker]\napp = "three"\n')
    stoker.write("part/pyproject.toml", "")
    monkeypatch.chdir(stoker.folder / "part")

    assert "no application" in refused(stoker)


def test_where_nothing_names_it_the_error_lists_the_three_places(stoker: Shell) -> None:
    stoker.write("app.py", ONE.format(name="app"))

    said = refused(stoker)

    assert said.count("\n") == 1
    assert all(place in said for place in ("-A MODULE[:ATTR]", "STOKER_APP", "[tool.stoker]"))


def test_the_only_stoker_of_a_module_is_found_whatever_its_name(stoker: Shell) -> None:
    stoker.write("one.py", ONE.format(name="crew"))

    assert "environment development" in checked(stoker, "-A", "one")


def test_among_several_the_one_named_app_is_meant(stoker: Shell) -> None:
    stoker.write("several.py", ONE.format(name="crew") + ONE.format(name="app") + "@app.job\ndef mine() -> None: ...\n")

    assert stoker.answer("-A", "several", "config", "check")["jobs"] == ["mine"]


def test_among_several_without_app_the_error_lists_them(stoker: Shell) -> None:
    stoker.write("several.py", ONE.format(name="crew") + ONE.format(name="deck"))

    assert "write several:crew or several:deck" in refused(stoker, "-A", "several")


def test_an_attribute_may_have_dots(stoker: Shell) -> None:
    stoker.write("deep.py", "class Box: pass\nbox = Box()\n" + ONE.format(name="crew") + "box.crew = crew\n")

    assert "environment development" in checked(stoker, "-A", "deep:box.crew")


@pytest.mark.parametrize(
    ("named", "said"), [("one:nope", "has no 'nope'; write one:crew"), ("one:Stoker", "is a type")]
)
def test_an_attribute_that_is_not_it_is_told_with_what_is(stoker: Shell, named: str, said: str) -> None:
    stoker.write("one.py", ONE.format(name="crew"))

    assert said in refused(stoker, "-A", named)


def test_a_missing_module_is_one_line(stoker: Shell) -> None:
    said = refused(stoker, "-A", "nope.jobs")

    assert "no module named 'nope'" in said
    assert said.count("\n") == 1


def test_a_file_name_is_answered_with_the_module_name(stoker: Shell) -> None:
    assert "write shop.jobs" in refused(stoker, "-A", "./shop/jobs.py")


def test_an_error_while_importing_shows_the_users_traceback_without_ours(stoker: Shell) -> None:
    stoker.write("broken.py", "def boom():\n    return 1 / 0\n\nboom()\n")

    said = refused(stoker, "-A", "broken")

    assert said.count('  File "') == 2
    assert "broken.py" in said
    assert "stoker/cli" not in said
    assert said.endswith("stoker: broken (-A) cannot be imported: ZeroDivisionError: division by zero\n")


def test_a_module_that_the_application_misses_shows_where_it_is_imported(stoker: Shell) -> None:
    stoker.write("broken.py", "import nowhere_to_be_found\n")

    said = refused(stoker, "-A", "broken")

    assert "Traceback" in said
    assert "broken.py" in said


def test_a_module_that_leaves_while_it_is_imported_does_not_end_the_command_in_silence(stoker: Shell) -> None:
    stoker.write("leaves.py", "raise SystemExit(0)\n")

    assert "leaves (-A) cannot be imported: SystemExit: 0" in refused(stoker, "-A", "leaves")


def test_a_module_named_by_imports_is_the_applications_code_too(stoker: Shell) -> None:
    stoker.write("one.py", 'from stoker import Stoker\napp = Stoker("memory://", imports=["two"])\n')
    stoker.write("two.py", "1 / 0\n")

    said = refused(stoker, "-A", "one")

    assert "two.py" in said
    assert "stoker/app" not in said


def test_a_file_that_hides_the_package_gets_its_own_error(stoker: Shell) -> None:
    stoker.write("stoker.py", ONE.format(name="app"))

    assert "stoker.py hides the package stoker" in refused(stoker, "-A", "stoker")


def test_a_pyproject_that_cannot_be_read_is_told(stoker: Shell) -> None:
    stoker.write("pyproject.toml", "[tool.stoker\n")

    assert "pyproject.toml cannot be read" in refused(stoker)
