"""The decision service of `cxroute serve --decide`: it answers where a conversation goes
(docs/decide.md).
"""
