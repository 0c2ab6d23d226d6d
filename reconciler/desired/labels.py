"""Manifests x environment -> what people read instead of names."""

from collections import Counter
from collections.abc import Iterable, Mapping
from itertools import chain

from reconciler.manifest.kinds.environment import AttributeNames, Environment
from reconciler.manifest.load import Manifests
from reconciler.text.escape import sanitize
from reconciler.text.labels import Labels


def short_labels(names: AttributeNames) -> Labels:
    """Return the labels of the bot's attributes."""
    return Labels({names.intent: "intent", names.confidence: "confidence"})


def labels_of(manifests: Manifests, environment: Environment) -> Labels:
    """Return the labels of the Attributes and Intents documents."""
    bot, declared = short_labels(environment.attributes), manifests.declared_attributes
    if not manifests.labelled:
        return bot
    attributes = {name: entry.label for name, entry in declared.items() if entry.label and name not in bot.short}
    by_attribute: list[tuple[str, Mapping[str, str], Iterable[str]]]
    by_attribute = [(name, entry.value_labels, map(str, entry.known_values)) for name, entry in declared.items()]
    documents = [loaded.document for loaded in manifests.intents]
    intents = dict(pair for document in reversed(documents) for pair in reversed(document.labels))
    by_attribute.append((bot.intent, intents, chain.from_iterable(document.names for document in documents)))
    return Labels(
        bot.short,
        _distinct(attributes, (*declared, *bot.short, *bot.short.values())),
        {
            (name, value): label
            for name, labels, known in by_attribute
            for value, label in _distinct(labels, known).items()
        },
    )


def _distinct(labels: Mapping[str, str], names: Iterable[str]) -> dict[str, str]:
    """Return the labels that no other name has, as a label or as the name itself: a text must mean one name."""
    uses, taken = Counter(map(sanitize, labels.values())), set(map(sanitize, names))
    unique = ((name, label) for name, label in labels.items() if uses[sanitize(label)] == 1)
    return {name: label for name, label in unique if sanitize(label) not in taken}
