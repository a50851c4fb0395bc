"""Solana (CAIP-2 namespace solana)."""
