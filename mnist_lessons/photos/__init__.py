"""Any photo, scan or drawing of a digit -> 28x28 pixels, as MNIST was made."""
