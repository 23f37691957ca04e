"""Pages on which work is reviewed."""
