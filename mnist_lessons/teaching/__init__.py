"""What teachers need: slides, handouts, JupyterLab on the lessons, a projector."""
