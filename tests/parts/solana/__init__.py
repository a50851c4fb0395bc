"""Tests of sessions_core/parts/solana."""
