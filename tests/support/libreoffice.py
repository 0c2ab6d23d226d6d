"""LibreOffice as a program without a window: it opens a file and saves it again."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

from tests.support.requirements import skip_or_fail


def saved_by_libreoffice(path: Path, form: str) -> Path:
    """Return the file after LibreOffice, without a window, has opened and saved it."""
    if shutil.which("soffice") is None:
        skip_or_fail(
            "there is no soffice on the path (Debian, Ubuntu: apt-get install "
            "libreoffice-calc-nogui)"
        )
    folder = path.parent / "saved"
    profile = f"-env:UserInstallation=file://{path.parent}/profile"
    command = [
        "soffice",
        profile,
        "--headless",
        "--convert-to",
        form,
        "--outdir",
        str(folder),
        str(path),
    ]
    subprocess.run(command, check=True, capture_output=True, timeout=120)
    return folder / path.name
