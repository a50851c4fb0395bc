"""Tests of sessions_core/parts/activity."""
