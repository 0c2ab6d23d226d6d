"""The decision table as a page."""

from reconciler.features.table.rows import DecisionTable
from reconciler.render.html import page_files, render_page


def render_table(table: DecisionTable) -> str:
    """Return a decision table as a page without a script."""
    styles = page_files("report.css", "explore.css")
    return render_page("table", styles, "", table=table)
