"""The pages that describe a deployment, and the pictures that other pages show."""

import json
import re
from collections.abc import Mapping
from pathlib import Path

from . import architecture, state_machines
from .openapi import openapi
from .template import Template

_PLACE = re.compile(r"(<!-- picture: (.+?) -->\n).*?(<!-- end of picture -->)", re.DOTALL)


def pages(template: Template) -> dict[str, str]:
    """File names and texts; without an `openapi.json` where the template has no methods. Raises ValueError as `openapi`
    does."""
    made = {
        "architecture.md": architecture.architecture(template),
        "state-machines.md": state_machines.state_machines(template),
    }
    if template.of_type("AWS::ApiGateway::Method"):
        made["openapi.json"] = json.dumps(openapi(template), indent=2) + "\n"
    return made


def write_pages(template: Template, folder: Path) -> None:
    """Write the pages into `folder`, which is made if there is none."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, page in pages(template).items():
        (folder / name).write_text(page, "utf-8")


def with_pictures(template: Template, page: str) -> str:
    """`page` with the template's pictures between `<!-- picture: NAME -->` and `<!-- end of picture -->`. NAME is
    Architecture, or a state machine's title. Raises ValueError for any other."""
    known: Mapping[str, str] = {"Architecture": architecture.picture(template)} | state_machines.pictures(template)

    def place(match: re.Match[str]) -> str:
        if match[2] not in known:
            raise ValueError(f"{match[2]}: there is no such picture; known are {', '.join(known)}")
        return f"{match[1]}{known[match[2]]}\n{match[3]}"

    return _PLACE.sub(place, page)
