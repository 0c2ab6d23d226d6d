"""The values that an attribute can have, where its type is known (semantics "Values and types")."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Final


@dataclass(frozen=True, slots=True)
class SentValues:
    """The values of an attribute in the conversations that are sent, as the manifests declare them.

    None: every text, or every number. No proof depends on it: it chooses examples.
    """

    texts: tuple[str, ...] | None = ()
    numbers: tuple[int | float, ...] | None = ()
    # texts of the other manifests that are compared
    further_texts: tuple[str, ...] | None = ()
    # whether an example without the attribute comes last; otherwise, it is as good
    is_expected: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class ValueType:
    """The values of an attribute that is not missing: texts, or numbers, both ends of `numbers`
    included.
    """

    texts: bool
    numbers: tuple[float, float] | None = None
    usual: tuple[str, ...] = field(default=(), compare=False)
    """Texts that conversations usually have.

    With any, an example has a text wherever one is possible.
    """
    usual_share: bool = field(default=False, compare=False)
    """Whether it is usually a number from 0 to 1."""
    sent: SentValues | None = field(default=None, compare=False)
    """The values in conversations that are sent; None: they are not declared."""

    @property
    def phrase(self) -> str:
        """Return `a text`, `a number` or `a number from 0 to 1`."""
        if self.numbers == EVERY_NUMBER:
            return "a number"
        if not self.numbers:
            return "a text"
        least, most = self.numbers
        return f"a number from {least} to {most}"


EVERY_NUMBER: Final = (float("-inf"), float("inf"))
ANY_VALUE: Final = ValueType(texts=True, numbers=EVERY_NUMBER)
ANY_TEXT: Final = ValueType(texts=True)
ANY_NUMBER: Final = ValueType(texts=False, numbers=EVERY_NUMBER)
SHARE: Final = ValueType(texts=False, numbers=(0, 1))

# the known types, by attribute; other attributes may have any text and any number
Types = Mapping[str, ValueType]


def number_as_text(value: float) -> str:
    """Return a number in decimals without an exponent, as the endpoint writes it for tenants that
    store texts.
    """
    return format(Decimal(str(value)), "f")
