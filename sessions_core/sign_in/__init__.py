"""From an account and a signature to a verified sign-in: accounts, messages, challenges, verifiers."""
