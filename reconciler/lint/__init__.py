"""What is most likely wrong with rules: never reached, redundant, tied, misspelt, with gaps (CXR201 to CXR209)."""
