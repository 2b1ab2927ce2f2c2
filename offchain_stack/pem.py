"""PEM as the functions read it, by their own code: what passes here, they can use."""

import importlib.util
import re
from typing import TYPE_CHECKING

from .sources import SOURCES

if TYPE_CHECKING:
    from shared import pem as _functions_own
else:
    _spec = importlib.util.spec_from_file_location("offchain_stack._functions_pem", SOURCES / "shared" / "pem.py")
    _functions_own = importlib.util.module_from_spec(_spec)
    _spec.loader.exec_module(_functions_own)

CONVERT = _functions_own.CONVERT
NotUsable = _functions_own.NotUsable
certificate = _functions_own.certificate
private_key = _functions_own.private_key


def tls_roots(stored: str | bytes) -> str:
    """The certificates in it as canonical PEM; raises ValueError whose text says, without a subject, what is wrong.

    What is canonical but for its last line break stays without that, so that no template changes for it.
    """
    if _functions_own.holds_private_key(stored):
        raise ValueError("holds a private key, which would be in the template: take it out, and have a new one made")
    try:
        canonical = _functions_own.roots(stored, "")
    except NotUsable as error:
        binary = re.search(r"\b(?:DER|PKCS)", error.what)
        raise ValueError(f"{error.what}. {CONVERT}" if binary else error.what) from error
    shorter = canonical.rstrip("\n")
    return shorter if stored == shorter else canonical
