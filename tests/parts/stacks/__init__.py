"""Tests of sessions_core/parts/stacks."""
