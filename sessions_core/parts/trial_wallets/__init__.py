"""Wallets for visitors who have none: one half of the key on the server, the other in the browser."""
