"""The lessons in a real browser; `test_lessons.py` says how to add a test."""
