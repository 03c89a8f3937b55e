"""Making a family of complete encoders from raw text: one width, several depths."""
