"""The settings of Sphinx. build.py copies this file beside the pages and site.json of one version."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote

from docutils import nodes
from sphinx.application import Sphinx

_SITE: Final = json.loads(Path(__file__).with_name("site.json").read_text("utf-8"))
_ANCHOR: Final = re.compile(r'<a id="([^"]+)">')

project = "cxroute"
release = _SITE["release"]
language = "en"
extensions = ["myst_parser"]
exclude_patterns = ["_static"]
# Quotes and dashes stay as they are written: some are parts of commands and of messages.
smartquotes = False
# Examples leave parts out, so some are not quite the JSON or YAML that they are marked as.
suppress_warnings = ["misc.highlighting_failure"]

# Anchors as GitHub makes them: the links of the pages work there and here.
myst_heading_anchors = 6
myst_heading_anchors_html_ids = True
# The pages are written for GitHub, which gives these signs no meaning.
myst_disable_syntax = [
    "myst_line_comment",
    "myst_block_break",
    "myst_target",
    "myst_role",
]
myst_enable_extensions = ["attrs_inline"]

html_theme = "pydata_sphinx_theme"
html_title = f"cxroute {_SITE['name']}"
html_static_path = ["_static"]
html_css_files = ["site.css"]
html_js_files = ["site.js"]
html_search_scorer = str(Path(__file__).with_name("_static") / "scorer.js")
html_favicon = "_static/icon.svg"
html_context = {"default_mode": "auto"}
html_copy_source = False
html_use_index = False
html_show_sphinx = False
html_theme_options = {
    "logo": {
        "text": "cxroute",
        "image_light": "_static/icon.svg",
        "image_dark": "_static/icon.svg",
        "alt_text": "",
    },
    "icon_links": [
        {
            "name": "Repository",
            "url": _SITE["repository"],
            "icon": "fa-solid fa-code-branch",
        }
    ],
    "navbar_align": "left",
    # On a phone, the search is in the bar, and the rest is in the menu.
    "navbar_persistent": ["search-button"],
    "navbar_end": ["version-switcher", "theme-switcher", "navbar-icon-links"],
    "header_links_before_dropdown": 7,
    "secondary_sidebar_items": ["page-toc"],
    "footer_start": [],
    "footer_end": [],
    "show_toc_level": 2,
    # The comments of the theme's own dark style are brighter than what they explain.
    "pygments_dark_style": "github-dark",
    # The list of versions differs from page to page (see `_set_versions`).
    "switcher": {"json_url": "", "version_match": _SITE["name"]},
    "check_switcher": False,
    "show_version_warning_banner": True,
}


def _set_versions(
    app: Sphinx,
    pagename: str,
    templatename: str,
    context: dict[str, Any],
    doctree: nodes.document | None,
) -> None:
    """Set the list of versions with relative addresses, as a `data:` address.

    The theme wants full addresses in one file. With these, the site works in any folder of a web
    server, and as files without one.
    """
    del app, templatename, doctree
    up = "../" * (pagename.count("/") + 1)
    listed = [
        {**version, "url": f"{up}{version['version']}/"}
        for version in _SITE["versions"]
    ]
    address = f"data:application/json,{quote(json.dumps(listed))}"
    context["theme_switcher"] = {"json_url": address, "version_match": _SITE["name"]}


def _add_anchors(app: Sphinx, doctree: nodes.document) -> None:
    """Let links find `<a id="...">`, which is raw HTML for Sphinx."""
    slugs = app.env.metadata[app.env.docname].setdefault("myst_slugs", {})
    for node in doctree.findall(nodes.raw):
        for anchor in _ANCHOR.findall(node.astext()):
            slugs[anchor] = (None, anchor, anchor)


def setup(app: Sphinx) -> dict[str, bool]:
    """Connect both to the build."""
    # Before the theme, which writes the setting into the page.
    app.connect("html-page-context", _set_versions, priority=100)
    app.connect("doctree-read", _add_anchors)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
