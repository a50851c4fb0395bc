"""Tests of sessions_core/parts/devices."""
