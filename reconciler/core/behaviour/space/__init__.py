"""The space of conversations: domains of attributes, boxes of rules, slices by the pivot."""
