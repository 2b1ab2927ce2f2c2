"""`python -m costs`: what the stack costs, as Markdown; with --write also into the README, between its markers."""

import argparse
import os
import sys

# Read by CDK's JavaScript when aws_cdk is first imported.
os.environ.setdefault("CDK_VALIDATION", "false")
os.environ.setdefault("JSII_SILENCE_WARNING_END_OF_LIFE_NODE_VERSION", "20")

from sandbox.assembly import ROOT

from . import report

README = ROOT / "README.md"


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m costs", description=__doc__)
    parser.add_argument("--write", action="store_true", help="also into README.md")
    options = parser.parse_args()
    text = report.document()
    print(text)
    if options.write:
        README.write_text(report.put_into(README.read_text("utf-8"), text), "utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
