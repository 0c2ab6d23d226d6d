"""Names that people or attackers write into rules, queues, files and reasons (ux.md section 9), and some more."""

from __future__ import annotations

from typing import Final

HOSTILE_NAMES: Final = {
    "pipe": "a | b || c",
    "backticks": "`code`",
    "double backtick": "``code``",
    "mention": "@octocat and @acme/everyone",
    "image": "<img src=x onerror=alert(1)>",
    "script": "</code></pre></details><script>alert(1)</script>",
    "our own line": "<!-- cxroute:plan env=prod --> [cxroute:acme/cards/a#0123abcd]",
    "link": "[click](javascript:alert(1))",
    "newline": "first\nsecond\r\nthird\rfourth",
    "fence": "```\n# not a heading\n~~~",
    "end": "end",
    "quotes": "'; \" -- ; \\",
    "entity": "#35; &#35; &amp;",
    "emoji": "\U0001f600 \U0001f468\u200d\U0001f469\u200d\U0001f467",
    "escape": "\x1b[31mred\x1b[0m\x9b1m",
    "right to left": "abc\u202egnp.exe\u2066",
    "ampersand": "& <vip>",
    "400 times": "x" * 400,
    "template": "{{7*7}} {0} ${{ secrets.X }}",
    "shell": "$(rm -rf /) `id`",
    "command": "::error::not ours",
    "command on a line of its own": "x\n::add-mask::a\r::set-output name=exit-code::0\n",
    "command after spaces": " \u00a0\u3000::stop-commands::x",
    "old command": "x ##[error]not ours ##[set-output name=a;]b",
    "escaped command": "%0A::error::x%0D%3A%2C%25",
    "end of a property": "a,line=9::b,c=d:e",
    "separators": "a\u2028b\u2029c\x85d\x0be\x0cf",
    "invisible": "a\u200bb\ufeffc\u00add\U000e0041",
    "half a character": "a\ud800b\udfff",
    "null": "a\x00b",
    "not decodable": "caf\udce9.yaml",
    "percent": "100 % 50%25 %zz",
    "colon first": "javascript:alert(1)",
    "path": "../../etc/passwd",
    "nothing": "",
    "space": " ",
}
"""By what they try."""
