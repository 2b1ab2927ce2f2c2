"""The tables of README and docs say what the code says."""

import json
import re
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
