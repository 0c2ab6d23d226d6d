"""The decision table of an Environment's rules: as rows and cells, in files of spreadsheets, and
back as edits.
"""
