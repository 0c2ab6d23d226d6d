"""The core: manifests, desired rules, plans, their proofs, and apply. Knows no network and no place of rules."""
