"""How much of a long list a report shows."""

from typing import Final

MAX_SHOWN: Final = 20
ALL_ROWS: Final = 10**9
"""The limit that shows everything."""
MAX_MEMBERS: Final = 3
"""More rules of one edit are counted in its row; a closed part names them."""
