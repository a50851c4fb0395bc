"""Tests of sessions_core/access."""
