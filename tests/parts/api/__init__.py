"""Tests of sessions_core/parts/api."""
