"""A project of two rules behind a fallback of the endpoint, and git for it."""

from __future__ import annotations

import subprocess
from typing import Final

PROD: Final = """\
apiVersion: routing/v1
kind: Environment
name: prod
owner: acme
tenant: acme
context: {{minConfidence: {least}, below: {{intent: none}}}}
guard: {{protected: [cards/lost]}}
"""
"""The Environment; `least` is the bound of the fallback."""

RULES: Final = """\
apiVersion: routing/v1
kind: RuleSet
name: cards
rules:
  - {key: lost, intent: lost, queue: Fraud, priority: 1}
  - {key: rest, when: [{attribute: cognigyDetectedIntent, exists: true}], queue: General, priority: 900}
"""


def git(*words: str, at: str = ".") -> str:
    """Run git as a person with a name, in a folder; return what it prints."""
    identity = [
        "-c",
        "user.name=n",
        "-c",
        "user.email=n@example.com",
        "-c",
        "commit.gpgsign=false",
    ]
    done = subprocess.run(
        ["git", "-C", at, *identity, *words], check=True, capture_output=True, text=True
    )
    return done.stdout.strip()
