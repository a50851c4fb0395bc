"""Tests of sessions_core/parts/development_redis."""
