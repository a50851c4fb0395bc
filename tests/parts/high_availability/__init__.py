"""Tests of sessions_core/parts/high_availability."""
