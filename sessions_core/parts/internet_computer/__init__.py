"""The Internet Computer: principals, delegations, Internet Identity."""
