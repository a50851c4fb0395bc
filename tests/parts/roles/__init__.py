"""Tests of sessions_core/parts/roles."""
