"""How large an answer may be. Step Functions takes it from a function and carries it to the caller."""

import json
from typing import Any

CARRIED = 262_144
"""Bytes of a state, as JSON in UTF-8: quota of AWS Step Functions."""
MOST_BYTES = 200_000
"""Of one record, of a page of records, or of a batch's findings: room remains for what the workflow adds."""


def size_of(value: Any) -> int:
    """Bytes of `value` as JSON in UTF-8, with the blanks that the Lambda runtime writes.

    Raises UnicodeEncodeError for half of a surrogate pair.
    """
    return len(json.dumps(value, ensure_ascii=False).encode())
