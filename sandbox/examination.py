"""Whether a real network can be used: the check of a deployment, run on this machine before the sandbox serves."""

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterable, Mapping, Sequence

from .assembly import ROOT
from .errors import SandboxError

_SOURCES = ROOT / "lambda_src"
_NAMES = {"peers": "peer", "orderers": "orderer", "tlsRoots": "TLS roots"}
_OPTIONS = {"users": "identity", "channel": "channel", "chaincode": "chaincode"}
"""What the check calls as the setting, and the command line by its option."""
_POLICY = "offchain.endorsingOrganizations"


def examine(environment: Mapping[str, str], record_types: Sequence[str]) -> list[str]:
    """Reach every peer and orderer of `FABRIC_NETWORK` in `environment`, which is that of a function, and ask them in
    the name of its first user. Nothing is ordered. `record_types` are the texts of `RECORD_TYPE`.

    Returns warnings. Raises SandboxError with a line for each node that is not reached or does not answer as it should.
    """
    identities = json.loads(environment["FABRIC_IDENTITIES"])
    secrets = next(iter(identities["users"].values()))
    identities["users"] = {"sandbox": secrets}
    findings = _findings(dict(environment) | {"FABRIC_IDENTITIES": json.dumps(identities)}, record_types)
    said = [(level, _readable(text, secrets.values())) for level, text in findings]
    if errors := [text for level, text in said if level == "ERROR" and not text.startswith(_POLICY)]:
        raise SandboxError("\n  ".join(["the network cannot be used as it is described:", *errors]))
    return [text for level, text in said if level in ("ERROR", "warning")]


def _findings(environment: Mapping[str, str], record_types: Sequence[str]) -> list[tuple[str, str]]:
    """The level and the text of each."""
    done = subprocess.run(
        [sys.executable, "-P", "-m", "check"],
        input=json.dumps(_document(environment, record_types)),
        # As the functions have it: nothing of this machine's own AWS or proxy settings.
        env={"PATH": os.defpath, "PYTHONPATH": str(_SOURCES)} | dict(environment),
        capture_output=True,
        text=True,
        check=False,
    )
    lines = [line.partition(" ") for line in done.stdout.splitlines()]
    found = [(level, text.strip()) for level, _, text in lines]
    if done.returncode and not any(level == "ERROR" for level, _ in found):
        raise SandboxError(f"the network cannot be examined: {(done.stderr.splitlines() or [''])[-1]}")
    return found


def _document(environment: Mapping[str, str], record_types: Sequence[str]) -> dict[str, object]:
    return {
        "environment": {name: environment[name] for name in ("FABRIC_NETWORK", "FABRIC_IDENTITIES")},
        "recordTypes": list(record_types),
        "settings": _NAMES,
        "lookUp": None,
        "account": None,
        "region": environment["AWS_REGION"],
        "bucket": None,
        "keys": {},
        "connect": True,
        "runsHere": True,
    }


def _readable(text: str, secrets: Iterable[str]) -> str:
    """A finding about the command line's options, where it is about settings or the secrets made of an MSP folder."""
    for secret in secrets:
        text = text.replace(secret, "--identity")
    return re.sub(rf"offchain\.({'|'.join(_OPTIONS)})\b", lambda setting: f"--{_OPTIONS[setting[1]]}", text)
