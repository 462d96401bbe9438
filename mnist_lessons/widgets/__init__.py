"""Every interactive piece of the lessons, each with a still picture as a fallback."""
