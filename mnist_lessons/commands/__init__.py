"""`python -m mnist_lessons ...`, one module a command."""
