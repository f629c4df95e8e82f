"""`make bench`: what the system does in a second on this machine, and what that costs. Figures, never assertions."""
