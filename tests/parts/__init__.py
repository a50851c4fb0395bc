"""Tests of single parts, and of leaving them out."""
