"""Tests of sessions_core/parts/operations."""
