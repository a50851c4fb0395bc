"""Tests of sessions_core/parts/linked_wallets."""
