"""A simulated CXone: the default API (api-contract), over ASGI.

Imports no other package of this project.
"""
