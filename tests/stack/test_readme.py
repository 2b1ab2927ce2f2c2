"""The tables of README and docs say what the code says, and their commands work."""

import base64
import json
import os
import re
import subprocess
from pathlib import Path

from offchain_stack.answers import create_answers, read_answers
from offchain_stack.record_type import DONOR
from offchain_stack.settings import settings_schema

ROOT = Path(__file__).parents[2]


def rows(page: str, heading: str) -> list[list[str]]:
    section = (ROOT / page).read_text("utf-8").split(f"# {heading}\n")[1].split("\n## ")[0]
    lines = [line for line in section.splitlines() if line.startswith("| ")]
    return [[cell.strip() for cell in line.strip("|").split(" | ")] for line in lines[1:]]


def test_settings() -> None:
    schema = settings_schema()
    expected = []
    for name, setting in schema["properties"].items():
        default = setting.get("default")
        shown = "none" if default is None else f"`{default if isinstance(default, str) else json.dumps(default)}`"
        shown = "required" if name in schema["required"] else shown
        expected.append(
            [f"`{name}`", shown, f"{setting['description']}, such as `{json.dumps(setting['examples'][0])}`"]
        )
    assert rows("docs/settings.md", "Settings") == expected


def test_errors() -> None:
    table = rows("README.md", "The API")
    documented = {(int(status), error) for status, error, *_ in table if re.fullmatch(r"\d+", status)}
    answers = (*create_answers(DONOR).values(), *read_answers(DONOR).values())
    known = {(answer.status, answer.error) for answer in answers}
    assert documented == known | {(500, "InternalError")}


def test_the_request_in_the_readme_is_made_of_a_picture_of_any_size(tmp_path: Path) -> None:
    (command,) = re.findall(r"^```sh\n([^`]*?^curl [^`]*)^```", (ROOT / "README.md").read_text("utf-8"), re.MULTILINE)
    picture = os.urandom(180 * 1024)
    (tmp_path / "ada.png").write_bytes(picture)
    (tmp_path / "curl").write_text('#!/bin/sh\nprintf "%s\\n" "$@"\n')
    (tmp_path / "curl").chmod(0o755)
    environment = os.environ | {"PATH": f"{tmp_path}:{os.environ['PATH']}", "API_URL": "https://api/prod/"}
    done = subprocess.run(
        ["bash", "-c", command], cwd=tmp_path, env=environment, capture_output=True, text=True, check=True
    )
    sent = done.stdout.splitlines()
    body = sent[sent.index("--data-binary") + 1]
    assert sent[-1] == "https://api/prod/donors"
    assert json.loads((tmp_path / body.removeprefix("@")).read_text()) == {
        "chaincodeFunctionArgs": {
            "donorUserName": "ada",
            "email": "ada@example.org",
            "image": base64.b64encode(picture).decode(),
        }
    }
