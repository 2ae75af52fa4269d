"""The static token file of --token-auth-file: lines of `token,user,uid,"group1,group2"` (CSV)."""

import csv
import hashlib
from collections.abc import Iterable
from pathlib import Path

from apiserver.auth.user import User, with_authenticated


class BadTokenFile(ValueError):
    """A token file with a line that cannot be used; the message names the line."""


class TokenFile:
    """Authenticates the tokens of one file, held as hashes so that comparing takes the same time for any token."""

    def __init__(self, lines: Iterable[str]) -> None:
        self._users: dict[bytes, User] = {}
        for number, row in enumerate(csv.reader(line for line in lines if line.strip()), start=1):
            if len(row) < 3 or not row[0].strip():
                raise BadTokenFile(f"token file, line {number}: needs token, user name and uid")
            groups = [group.strip() for group in row[3].split(",") if group.strip()] if len(row) > 3 else []
            self._users[_digest(row[0].strip())] = User(row[1].strip(), row[2].strip(), with_authenticated(groups))

    @classmethod
    def load(cls, path: Path) -> "TokenFile":
        """Read a file; BadTokenFile or OSError when that fails."""
        return cls(path.read_text().splitlines())

    def authenticate(self, token: str) -> User | None:
        """Return the token's user, or None."""
        return self._users.get(_digest(token))


def _digest(token: str) -> bytes:
    return hashlib.sha256(token.encode()).digest()
