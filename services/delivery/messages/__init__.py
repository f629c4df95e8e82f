"""The wording: templates in files, an account's own plain strings, and what both have to keep to.

Nothing in it leads anywhere: no link, no remote content, and a code never stands in a subject.
"""
