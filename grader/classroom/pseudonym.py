"""Codes instead of names, for anonymous marking and lists: `A-3f9c21d0`.

A code is computed from the ID and from a secret that stays in the results folder. Without the
secret no one can find out whose code it is, although there are few enough IDs to try them all.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets

from grader.classroom.results import Results
from grader.errors import KitError
from grader.files import private

FILE = ".order-of-anonymous"
_DIGITS = 8


def codes(results: Results) -> dict[str, str]:
    """The code of everyone who submitted or could have, by ID; makes the secret if necessary.

    Raises KitError if the secret cannot be stored.
    """
    people = {entry.person.id for entry in results.entries} | {one.id for one in results.missing}
    secret = secret_of(results)
    return {student: _code(secret, student) for student in sorted(people)}


def known(results: Results) -> dict[str, str]:
    """IDs by code; empty if no code was ever made. It writes nothing."""
    if not (results.folder / FILE).is_file():
        return {}
    return {code: student for student, code in codes(results).items()}


def secret_of(results: Results) -> bytes:
    """The class's own secret, made once."""
    file = results.folder / FILE
    try:
        return bytes.fromhex(private.read(file, 1_000).decode("ascii").strip())
    except FileNotFoundError:
        pass
    except (OSError, ValueError) as error:
        raise KitError(
            f"The secret behind the codes cannot be read: {error}.",
            where=str(file),
            remedy="Restore the old file. Without it, marks under codes belong to no one; if "
            "there are no such marks, delete it.",
        ) from None
    secret = secrets.token_bytes(32)
    try:
        private.write(file, f"{secret.hex()}\n".encode("ascii"))
    except OSError as error:
        raise KitError(
            f"The secret behind the codes cannot be saved: {error.strerror or error}.",
            where=str(file),
            remedy="Fix the permissions of the results folder.",
        ) from None
    return secret


def _code(secret: bytes, student: str) -> str:
    told = student.encode("utf-8", "surrogatepass")
    return "A-" + hmac.new(secret, b"code\0" + told, hashlib.sha256).hexdigest()[:_DIGITS]
