"""What is most likely wrong with rules: never reached, redundant, tied, misspelt, or with gaps (CXR201 to CXR211)."""
