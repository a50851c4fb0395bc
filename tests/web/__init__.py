"""Tests of sessions_core/web."""
