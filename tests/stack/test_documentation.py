"""What the documentation shows is what runs: its Python is that of the examples, its commands end well."""

import json
import os
import re
import shlex
import subprocess
import sys
import textwrap
from pathlib import Path

import aws_cdk as cdk
import pytest
from aws_cdk import aws_ec2 as ec2
from aws_cdk import aws_lambda as lambda_

from conftest import ROOT

PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
EXAMPLES = {path: path.read_text("utf-8") for path in sorted((ROOT / "examples").glob("*.py"))}


def blocks(language: str) -> dict[str, str]:
    """The code in that language, by page and number; those in a list without their indentation."""
    found = {}
    for page in PAGES:
        fenced = re.findall(rf"^( *)```{language}\n(.*?)^\1```", page.read_text("utf-8"), re.MULTILINE | re.DOTALL)
        found |= {f"{page.name} {number}": textwrap.dedent(text) for number, (_, text) in enumerate(fenced)}
    return found


PYTHON = {name: text for name, text in blocks("python").items() if "cdk.App()" not in text}
"""All but the README's app, which test_wheel.py runs."""

COMMANDS = [
    line
    for text in blocks("sh").values()
    for line in text.replace("\\\n", " ").splitlines()
    if re.search(r"examples/\w+\.py", line)
]


@pytest.mark.parametrize("text", PYTHON.values(), ids=PYTHON)
def test_its_python_runs(text: str) -> None:
    if any(_within(text, code) for code in EXAMPLES.values()):
        return
    stack = cdk.Stack(cdk.App(context={"aws:cdk:bundling-stacks": []}), "Stack")
    function = lambda_.Function(
        stack,
        "Mine",
        runtime=lambda_.Runtime.PYTHON_3_13,
        handler="index.handler",
        code=lambda_.Code.from_inline("def handler(event, context): pass"),
    )
    exec(text, {"self": stack, "vpc": ec2.Vpc(stack, "Vpc", max_azs=2), "my_function": function})


def _within(text: str, code: str) -> bool:
    return textwrap.indent(text, "    ") in code


def test_the_existing_method_is_that_of_the_example() -> None:
    shown = [text for text in PYTHON.values() if "ExistingMethod(" in text]
    assert shown
    assert all(_within(text, EXAMPLES[ROOT / "examples" / "existing_api.py"]) for text in shown)


def test_every_example_that_is_a_program_is_named() -> None:
    pages = "".join(page.read_text("utf-8") for page in PAGES)
    assert not [path.name for path in EXAMPLES if path.name not in pages]
    assert {"existing_api.py", "method_on_existing_resource.py"} <= {
        Path(name).name for command in COMMANDS for name in re.findall(r"examples/\w+\.py", command)
    }


@pytest.mark.long
@pytest.mark.parametrize("command", COMMANDS)
def test_the_app_of_a_command_synthesizes(command: str, tmp_path: Path) -> None:
    """As `npx aws-cdk` runs it, which is not needed for that and reaches AWS."""
    words = shlex.split(command)
    given = dict(word.split("=", 1) for word in words[: words.index("npx")])
    program, *arguments = shlex.split(words[words.index("--app") + 1])
    assert program == ".venv/bin/python"
    context = json.loads((ROOT / "cdk.json").read_text("utf-8"))["context"] | {"aws:cdk:bundling-stacks": []}
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    environment |= given | {"CDK_CONTEXT_JSON": json.dumps(context), "CDK_OUTDIR": str(tmp_path)}
    subprocess.run([sys.executable, *arguments], cwd=ROOT, env=environment, check=True)
    assert (tmp_path / "Example.template.json").exists()
