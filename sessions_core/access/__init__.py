"""Access rules: session types, permissions, and the sentences that a user signs for a step-up."""
