"""What things cost, and what they cost elsewhere: run with `make bench`."""
