"""Where the Lambda functions' sources are."""

from pathlib import Path

_PACKAGE = Path(__file__).parent
SOURCES = next(
    (path for path in (_PACKAGE / "lambda_src", _PACKAGE.parent / "lambda_src") if (path / "shared").is_dir()),
    _PACKAGE / "lambda_src",
)
"""Beside this package in the repository, inside it in an installed wheel."""
