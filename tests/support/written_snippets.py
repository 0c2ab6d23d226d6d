"""Random snippets as people write them, with or without a part that rules cannot say."""

from __future__ import annotations

from collections.abc import Sequence
from random import Random
from typing import Any, Final, NamedTuple

TEXTS: Final = (
    "lost card",
    "stolen",
    "refund",
    "refund status",
    "Abc",
    "abcd",
    "order-1",
)
TEXT_VARIABLES: Final = ("intent", "lang", "tier")
NUMBER_VARIABLES: Final = ("confidence", "amount")
NUMBERS: Final = ("0.3", "0.7", "1", "0", "25")
BANDS: Final = ("0.3", "0.7")
SKILLS: Final = {
    "id": ("4001", "4002", "4003", "4004"),
    "quoted id": ('"4001"', '"4002"', '"4003"'),
    "name": ('"Billing Team"', '"Cards"', '"General Desk"', '"Fraud"'),
    "guid": (
        '"43dba2dc-d05c-5c74-bf32-aad2ef367801"',
        '"43DBA2DC-D05C-5C74-BF32-AAD2EF367802"',
        '"00000000-0000-0000-0000-000000000003"',
    ),
}
WRONG: Final = (
    'CASE|intent.endswith("x")',
    "CASE|( amount + 1 ) > 5",
    'CASE|zip = "8001"',
    'CASE|lang = "de" & tier = "a" | tier = "b"',
    "CASE|amount",
    'CASE|lang > "m"',
    "CASE|intent.length() > 3",
    'CASE|intent.left(2) = "abc"',
    "LINE|skill = other",
    'LINE|skill = "a{lang}b"',
    "LINE|GOSUB elsewhere",
    'CASE|changed = "x"',
)
"""Parts that no rule says, as conditions or lines."""


class WrittenSnippet(NamedTuple):
    """A snippet, and the part of it that rules cannot say; empty without one."""

    text: str
    wrong: str


class SnippetWriter:
    """Writes one snippet."""

    def __init__(self, random: Random) -> None:
        self.random = random
        kinds = list(SKILLS)
        self.skills: Sequence[str] = SKILLS[random.choice(kinds)]
        if random.random() < 0.1:
            self.skills = (*SKILLS["id"], *SKILLS["name"])
        self.lines: list[str] = []
        self.copies: dict[str, str] = {}
        self.has_split = False

    def write(self) -> WrittenSnippet:
        """Return a snippet; every fourth one has a wrong part."""
        random = self.random
        wrong = random.choice(WRONG) if random.random() < 0.25 else ""
        self._head()
        if "changed" in wrong:
            self.lines.append('changed = "y{lang}"')
        for _ in range(random.choice((1, 1, 1, 2, 2, 3))):
            self._decision(depth=0)
        kind, _, part = wrong.partition("|")
        if kind == "CASE":
            self.lines += [f"IF {part}", "{", f"  {self._skill()}", "}"]
        elif kind == "LINE":
            self.lines.append(part)
        if random.random() < 0.3:
            self.lines.append('music = "jazz"')
        newline = random.choice(("\n", "\r\n"))
        return WrittenSnippet(newline.join([*self.lines, ""]), part)

    def _head(self) -> None:
        random = self.random
        if random.random() < 0.3:
            self.lines.append("// which queue?")
        if random.random() < 0.6:
            value = random.choice(('""', *self.skills))
            self.lines.append(f"{self._assign()}skill = {value}")
        for name in TEXT_VARIABLES:
            if random.random() < 0.2:
                copy = random.choice((f"{name}_copy", f"{name}$"))
                value = f'"{{{name}}}"' if copy.endswith("$") else name
                self.lines.append(f"{self._assign()}{copy} = {value}")
                self.copies[name] = copy
        if random.random() < 0.2:
            self.has_split = True
            self.lines.append("percent = ContactID % 100")

    def _decision(self, depth: int) -> None:
        random = self.random
        kinds = [self._chain, self._chain, self._select, self._select, self._switch]
        if depth < 2 and random.random() < 0.15:
            self._sequence(depth)
        else:
            random.choice(kinds)(depth)

    def _sequence(self, depth: int) -> None:
        self._decision(depth + 1)
        self._decision(depth + 1)

    def _chain(self, depth: int) -> None:
        """Write IF ... ELSE { IF ... }, of one to four conditions."""
        self._links(depth, self.random.randint(1, 4))

    def _links(self, depth: int, count: int) -> None:
        self._line(depth, f"{self._word('IF')} {self._test()}")
        self._body(depth)
        if count == 1 and self.random.random() < 0.5:
            return
        self._line(depth, self._word("ELSE"))
        self._line(depth, "{")
        if count > 1:
            self._links(depth + 1, count - 1)
        else:
            self._content(depth + 1)
        self._line(depth, "}")

    def _select(self, depth: int) -> None:
        random = self.random
        self._line(depth, f"{self._word('SELECT')}")
        self._line(depth, "{")
        intent = random.choice(TEXTS)
        for _ in range(random.randint(1, 5)):
            test = self._test()
            if random.random() < 0.25:
                band = random.choice(BANDS)
                self._case(depth, f'intent = "{intent}" & confidence >= {band}')
                test = f'intent = "{intent}" & confidence < {band}'
            self._case(depth, test)
        if random.random() < 0.5:
            self._line(depth + 1, self._word("DEFAULT"))
            self._body(depth + 1)
        self._line(depth, "}")

    def _case(self, depth: int, test: str) -> None:
        self._line(depth + 1, f"{self._word('CASE')} {test}")
        if self.random.random() < 0.2:
            self._line(depth + 1, f"{self._word('CASE')} {self._test()}")
        self._body(depth + 1)

    def _switch(self, depth: int) -> None:
        random = self.random
        self._line(depth, f"{self._word('SWITCH')} {random.choice(TEXT_VARIABLES)}")
        self._line(depth, "{")
        for text in random.sample(TEXTS, random.randint(1, 4)):
            self._line(depth + 1, f'{self._word("CASE")} "{text}"')
            self._body(depth + 1)
        self._line(depth, "}")

    def _body(self, depth: int) -> None:
        self._line(depth, "{")
        self._content(depth + 1)
        self._line(depth, "}")

    def _content(self, depth: int) -> None:
        random = self.random
        chance = random.random()
        if chance < 0.1 and depth < 4:
            self._decision(depth)
        elif chance < 0.17 and self.has_split:
            share = random.choice((10, 50))
            self._line(depth, f"IF percent < {share}")
            self._line(depth, "{")
            self._line(depth + 1, self._skill())
            self._line(depth, "}")
            self._line(depth, "ELSE")
            self._line(depth, "{")
            self._line(depth + 1, self._skill())
            self._line(depth, "}")
        elif chance < 0.97:
            self._line(depth, self._skill())
        if random.random() < 0.3:
            self._line(depth, f"priority = {random.randint(1, 9)}")

    def _skill(self) -> str:
        comment = self.random.choice(("", "", " // a desk"))
        return f"{self._assign()}skill = {self.random.choice(self.skills)}{comment}"

    def _assign(self) -> str:
        return self.random.choice(("", "ASSIGN ", "assign "))

    def _word(self, word: str) -> str:
        return self.random.choice((word, word.lower(), word.title()))

    def _line(self, depth: int, text: str) -> None:
        indent = self.random.choice(("  ", "  ", "\t")) * depth
        self.lines.append(f"{indent}{text}")

    def _test(self) -> str:
        random = self.random
        chance = random.random()
        if chance < 0.55:
            return self._single()
        if chance < 0.62:
            return f"( {self._single()} ) = 0"
        symbol = random.choice("&|")
        parts = [self._single() for _ in range(random.choice((2, 2, 3)))]
        texts = [f"( {part} )" if random.random() < 0.7 else part for part in parts]
        return f" {symbol} ".join(texts)

    def _single(self) -> str:
        random = self.random
        if random.random() < 0.3:
            name = random.choice(NUMBER_VARIABLES)
            number = random.choice(NUMBERS)
            symbol = random.choice((">=", "<", ">", "<=", "=", "!="))
            if random.random() < 0.1:
                return f"{number} {symbol} {name}"
            return f"{name} {symbol} {number}"
        name = random.choice(TEXT_VARIABLES)
        text = random.choice(TEXTS)
        used = self.copies.get(name, name) if random.random() < 0.7 else name
        symbol = "=" if used.endswith("$") else random.choice(("=", "=", "=", "!="))
        if random.random() < 0.6:
            return f'{used} {symbol} "{text}"'
        count = random.randint(1, 3)
        return random.choice(
            (
                f'{name}.contains("{text[:4]}")',
                f'{name}.beginswith("{text[:3]}")',
                f'{name}.left({count}) {random.choice(("=", "!="))} "{text[:count]}"',
                f'"{text}" = {name}',
                f'{name} {random.choice(("=", "!="))} ""',
            )
        )


def contact(random: Random) -> dict[str, Any]:
    """Return the values of a contact's variables; some have none, and some a number as a text."""
    values: dict[str, Any] = {"contactid": random.randrange(1_000_000)}
    for name in TEXT_VARIABLES:
        if random.random() < 0.8:
            values[name] = random.choice((*TEXTS, "other", "12", "abc", "ABC"))
    for name in NUMBER_VARIABLES:
        if random.random() < 0.8:
            number = random.choice((-5, 0, 0.1, 0.3, 0.5, 0.7, 0.9, 1, 20, 25, 30))
            values[name] = random.choice((number, number, str(number), "none"))
    return values


def large_snippet(characters: int) -> str:
    """Return a snippet of about so many characters: CASEs with bands of the confidence, chains of
    IFs, and SWITCHes inside of an IF.
    """
    random = Random("large")
    lines = ['skill = ""', 'lang$ = "{lang}"']
    parts = (_bands, _link_lines, _languages)
    while sum(map(len, lines)) + len(lines) < characters:
        lines += random.choice(parts)(random)
    return "\n".join([*lines, ""])


def _bands(random: Random) -> list[str]:
    lines = ["SELECT", "{"]
    for _ in range(8):
        test = f'  CASE ( intent = "{_intent(random)}" ) & ( confidence'
        lines += [f"{test} >= 0.7 )", *_block(random, "  priority = 3")]
        lines += [f"{test} < 0.7 )", *_block(random)]
    return [*lines, "}"]


def _link_lines(random: Random) -> list[str]:
    return [
        f'IF intent = "{_intent(random)}"',
        *_block(random),
        "ELSE",
        "{",
        f'  IF intent.left(8) = "{_intent(random):8.8}"',
        *_block(random),
        "  ELSE",
        "  {",
        f'    IF ( tier = "gold" ) | ( amount > {random.randrange(100)} )',
        *_block(random),
        "  }",
        "}",
    ]


def _languages(random: Random) -> list[str]:
    lines = [
        f'IF lang$ = "{random.choice(("de", "fr", "it"))}"',
        "{",
        "SWITCH intent",
        "{",
    ]
    for _ in range(3):
        lines += [f'  CASE "{_intent(random)}"', *_block(random)]
    return [*lines, "}", "}"]


def _intent(random: Random) -> str:
    return f"intent_{random.randrange(400)}"


def _block(random: Random, *more: str) -> list[str]:
    return ["  {", f'    skill = "Desk {random.randrange(30)}"', *more, "  }"]
