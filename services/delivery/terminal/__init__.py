"""How delivery looks in a terminal: pictures of what the API answers, and nothing else."""
