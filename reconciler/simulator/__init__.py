"""A CXone of our own: the default API (api-contract), over ASGI. Imports nothing else of this project."""
