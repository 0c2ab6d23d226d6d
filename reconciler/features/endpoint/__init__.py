"""The context endpoint: authenticates events, puts them in order and writes them to
conversations.
"""
