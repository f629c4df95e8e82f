"""The operators' console: each page parses, calls what the API calls, renders. It has no rules of its own."""
