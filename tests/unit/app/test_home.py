"""An application's home is where its file is, whatever program runs it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

SHOP = "from stoker import Stoker\napp = Stoker()\n"
SHOW = "import shop; print(shop.app.settings.root)"


def root_of_shop(folder: Path, *command: str) -> Path:
    run = subprocess.run(
        command, cwd=folder, env={"PYTHONPATH": str(folder / "project")}, capture_output=True, check=True
    )
    return Path(run.stdout.decode().strip())


def test_a_program_that_is_installed_elsewhere_does_not_move_the_application(tmp_path: Path) -> None:
    for folder in ("project", "bin"):
        (tmp_path / folder).mkdir()
    (tmp_path / "project" / "shop.py").write_text(SHOP)
    (tmp_path / "bin" / "uvicorn").write_text(SHOW)

    assert root_of_shop(tmp_path, sys.executable, "bin/uvicorn") == tmp_path / "project"


def test_the_application_of_a_one_liner_is_at_home_in_the_current_folder(tmp_path: Path) -> None:
    one_liner = "from stoker import Stoker; print(Stoker().settings.root)"

    assert root_of_shop(tmp_path, sys.executable, "-c", one_liner) == tmp_path


def test_a_project_reaches_up_to_its_pyproject(tmp_path: Path) -> None:
    (tmp_path / "pyproject.toml").touch()
    (tmp_path / "project").mkdir()
    (tmp_path / "project" / "shop.py").write_text(SHOP)

    assert root_of_shop(tmp_path, sys.executable, "-c", SHOW) == tmp_path
