"""Tests of sessions_core/parts/ethereum."""
