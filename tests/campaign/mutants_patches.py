"""The way in which a deliberate bug is patched into the real modules."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any
from unittest.mock import patch

from reconciler.core.errors import UnexpectedResponseError


@contextmanager
def patched(*places: tuple[Any, str, Callable[[Any], Any]]) -> Iterator[None]:
    """Replace each attribute by the result of its function; each must exist, or a mutant would do
    nothing.
    """
    with ExitStack() as stack:
        for where, name, make in places:
            stack.enter_context(patch.object(where, name, make(getattr(where, name))))
        yield


def again(real: Any, error: type[Exception]) -> Any:
    """Return a call that is repeated once after an error of that kind."""

    async def call(self: Any, *given: Any) -> Any:
        try:
            return await real(self, *given)
        except error:
            return await real(self, *given)

    return call


def page_of(form: Any) -> dict[str, Any]:
    """Return a page that has a page's shape; other responses are not part of these bugs."""
    if (
        not isinstance(form, dict)
        or not isinstance(form.get("entities"), list)
        or not isinstance(form["total"], int)
    ):
        raise UnexpectedResponseError("this is not a page")
    if not all(
        isinstance(item, dict) and isinstance(item.get("id"), str)
        for item in form["entities"]
    ):
        raise UnexpectedResponseError("this is not a page")
    return form
