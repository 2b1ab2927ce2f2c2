"""What make needs on a machine: it is said before anything is set up."""

import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
STARTED = "python was started"


def make(folder: Path, node: str | None) -> str:
    """What make prints when it sets up in `folder`, with a Node of this version and a Python that does nothing."""
    programs = folder / "bin"
    programs.mkdir()
    for name in ("make", "sh", "touch"):
        (programs / name).symlink_to(shutil.which(name) or name)
    if node:
        # As Node does it, of which only this expression is asked.
        script(programs / "node", f'[ "$1" = -e ] && [ {node.partition(".")[0]} -ge 20 ]')
    script(programs / "python", f"echo {STARTED}; exit 1")
    (folder / "requirements.txt").touch()
    command = ["make", "-f", str(ROOT / "Makefile"), ".venv/installed", f"PYTHON={programs / 'python'}"]
    done = subprocess.run(command, cwd=folder, env={"PATH": str(programs)}, capture_output=True, text=True, check=False)
    return done.stdout


def script(file: Path, text: str) -> None:
    file.write_text(f"#!/bin/sh\n{text}\n")
    file.chmod(0o755)


@pytest.mark.parametrize("node", [None, "18.20.8"])
def test_without_node_20_make_says_which_is_needed_and_which_works(tmp_path: Path, node: str | None) -> None:
    assert make(tmp_path, node) == ("Node 22 or newer is needed (20 works): https://nodejs.org\n")


@pytest.mark.parametrize("node", ["20.20.2", "24.4.0"])
def test_node_20_keeps_working(tmp_path: Path, node: str) -> None:
    assert STARTED in make(tmp_path, node)


def test_the_expression_that_make_asks_node_is_right_here() -> None:
    line = next(line for line in (ROOT / "Makefile").read_text().splitlines() if "node -e" in line)
    expression = line.split("'")[1]
    assert subprocess.run(["node", "-e", expression], check=False).returncode == 0
    older = expression.replace("process.versions.node", "'18.20.8'")
    assert subprocess.run(["node", "-e", older], check=False).returncode == 1
