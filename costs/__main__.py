"""`python -m costs`: what the stack costs, as Markdown; with --write also into the README, between its markers."""

import argparse
import os
import sys
from pathlib import Path

README = Path(__file__).parent.parent / "README.md"


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m costs", description=__doc__)
    parser.add_argument("--write", action="store_true", help="also into README.md")
    options = parser.parse_args()
    # Read by CDK's JavaScript when aws_cdk is first imported, which takes seconds: not for --help.
    os.environ.setdefault("CDK_VALIDATION", "false")
    from . import report

    text = report.document()
    print(text)
    if options.write:
        README.write_text(report.put_into(README.read_text("utf-8"), text), "utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
