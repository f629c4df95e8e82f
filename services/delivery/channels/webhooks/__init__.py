"""Any gateway with an HTTP API as a provider: its request is a template in a file, what it answers is read by rules."""
