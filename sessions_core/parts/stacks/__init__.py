"""Stacks (CAIP-2 namespace stacks)."""
