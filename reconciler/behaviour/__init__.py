"""What a list of rules does to conversations: differences, facts, explanations, a safe order. Pure (semantics)."""
