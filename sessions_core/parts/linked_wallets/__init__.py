"""Several wallets of one user, linked under one user id."""
