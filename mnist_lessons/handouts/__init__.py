"""Handouts made from the lessons: `python -m mnist_lessons handout`.

`command.py` is the command, `conversion.py` what is done to a lesson, `exercises.py`
finds the exercises with their solutions, `cues.py` the cells to type live.
"""
