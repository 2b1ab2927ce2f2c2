"""`python -m check` reads the document of `Deployment` from standard input and prints a line a finding."""

import os
import sys
from pathlib import Path

_LOCK = Path(__file__).parents[1] / "invoke_chaincode" / "requirements.txt"


def main() -> int:
    """Exit code: 0 without an ERROR, 1 with one, 2 where what the functions import is not installed."""
    # Its own messages about each failed handshake would stand between the findings.
    os.environ.setdefault("GRPC_VERBOSITY", "NONE")
    try:
        from .deployment import Deployment
        from .examination import examine
        from .finding import Level
    except ModuleNotFoundError as missing:
        pip = f"{sys.executable} -m pip install"
        print(
            f"check: {missing.name} is not installed, and the check runs the functions' own code. Install what that "
            f"imports: {pip} boto3 && {pip} --no-deps -r {_LOCK}",
            file=sys.stderr,
        )
        return 2
    worst = 0
    try:
        deployment = Deployment.from_json(sys.stdin.read())
        if deployment.region:
            os.environ["AWS_DEFAULT_REGION"] = deployment.region
        for finding in examine(deployment):
            print(finding, flush=True)
            worst = max(worst, int(finding.level is Level.ERROR))
    except KeyboardInterrupt:
        return 130
    return worst


if __name__ == "__main__":
    sys.exit(main())
