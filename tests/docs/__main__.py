"""`make docs`: updates the outputs in the pages, and writes the generated pages."""

from __future__ import annotations

import tempfile
from pathlib import Path

from tests.docs.generated import write_generated_pages, write_page
from tests.docs.page import PAGES
from tests.docs.pages import before, filled, followed
from tests.docs.session import session

write_generated_pages()
for page in PAGES:
    with tempfile.TemporaryDirectory() as folder, session(Path(folder)) as reader:
        for earlier in before(page):
            list(followed(earlier, reader))
        write_page(page, filled(page, reader))
