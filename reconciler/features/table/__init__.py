"""The decision table of an Environment's rules: as rows and cells, in files of spreadsheets, and
back as edits.
"""

from typing import Final

from reconciler.cli.feature import Command, Feature

FEATURE: Final = Feature(
    commands={
        "table": Command(
            "every day",
            120,
            "write the rules as a table for a spreadsheet, and read its edits back",
            f"{__name__}.command",
        ),
    },
)
