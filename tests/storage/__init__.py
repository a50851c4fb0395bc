"""Tests of sessions_core/storage."""
