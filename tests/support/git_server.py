"""A real repository of git behind HTTP: git's own server, started for each request."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path
from typing import Final

from tests.support.threaded_server import HttpReply, HttpRequest

_REFUSED: Final = 401


class GitHost:
    """A bare repository in a folder, which one authorization can read."""

    def __init__(self, folder: Path, authorization: str) -> None:
        self.folder = folder
        self.authorization = authorization
        self.asked: list[str] = []
        self.refuses = 0  # the number of further requests that fail

    @classmethod
    def create(cls, folder: Path, authorization: str) -> GitHost:
        """Create an empty repository."""
        command = ["git", "init", "--quiet", "--bare", "--initial-branch", "main"]
        subprocess.run([*command, folder], check=True)
        return cls(folder, authorization)

    def set_ref(self, ref: str, commit: str) -> None:
        """Set a ref to a commit that was pushed."""
        command = ["git", "-C", str(self.folder), "update-ref", ref, commit]
        subprocess.run(command, check=True)

    def answer(self, request: HttpRequest, prefix: str) -> HttpReply | None:
        """Return the answer to a request for the repository at a path; None for another path."""
        path = request.parts.path
        if not path.startswith(f"{prefix}/"):
            return None
        self.asked.append(path)
        if self.refuses:
            self.refuses -= 1
            return HttpReply(500, b"")
        if request.headers.get("Authorization") != self.authorization:
            return HttpReply(_REFUSED, b"", {"WWW-Authenticate": 'Basic realm="git"'})
        variables = {
            "GIT_PROJECT_ROOT": str(self.folder),
            "GIT_HTTP_EXPORT_ALL": "1",
            "PATH_INFO": path.removeprefix(prefix),
            "QUERY_STRING": request.parts.query,
            "REQUEST_METHOD": request.method,
            "CONTENT_TYPE": request.headers.get("Content-Type", ""),
            "CONTENT_LENGTH": str(len(request.content)),
            "HTTP_CONTENT_ENCODING": request.headers.get("Content-Encoding", ""),
            "GIT_PROTOCOL": request.headers.get("Git-Protocol", ""),
        }
        done = subprocess.run(
            ["git", "http-backend"],
            input=request.content,
            env={**os.environ, **variables},
            capture_output=True,
            check=True,
        )
        head, _, body = done.stdout.partition(b"\r\n\r\n")
        pairs = (line.partition(": ") for line in head.decode().split("\r\n"))
        headers = {name: text for name, _, text in pairs}
        status = int(headers.pop("Status", "200").split()[0])
        return HttpReply(status, body, headers)
