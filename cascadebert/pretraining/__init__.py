"""Pre-trains a family of complete encoders on raw text: one width, several depths."""
