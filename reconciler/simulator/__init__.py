"""A CXone of our own: what contract.md says, over ASGI. Imports nothing else of this project."""
