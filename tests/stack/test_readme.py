"""The tables of README and docs say what the code says."""

import dataclasses
import json
import re
from pathlib import Path

from offchain_stack.answers import create_answers, read_answers
from offchain_stack.record_type import DONOR
from offchain_stack.settings import Settings

ROOT = Path(__file__).parents[2]


def rows(page: str, heading: str) -> list[list[str]]:
    section = (ROOT / page).read_text("utf-8").split(f"# {heading}\n")[1].split("\n## ")[0]
    lines = [line for line in section.splitlines() if line.startswith("| ")]
    return [[cell.strip() for cell in line.strip("|").split(" | ")] for line in lines[1:]]


def test_settings() -> None:
    expected = []
    for field in dataclasses.fields(Settings):
        setting = field.metadata["setting"]
        first, *rest = field.name.split("_")
        name = first + "".join(part.capitalize() for part in rest)
        named = {dataclasses.MISSING: "required", None: "none", (DONOR,): '`["donors"]`'}
        default = named.get(field.default, f"`{field.default}`")
        expected.append([f"`{name}`", default, f"{setting.doc}, such as `{json.dumps(setting.example)}`"])
    assert rows("docs/settings.md", "Settings") == expected


def test_errors() -> None:
    table = rows("README.md", "The API")
    documented = {(int(status), error) for status, error, *_ in table if re.fullmatch(r"\d+", status)}
    answers = (*create_answers(DONOR).values(), *read_answers(DONOR).values())
    known = {(answer.status, answer.error) for answer in answers}
    assert documented == known | {(500, "InternalError")}
