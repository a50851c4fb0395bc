"""Tests of sessions_core/parts/rate_limits."""
