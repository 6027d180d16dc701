"""Several models together: they find the kidneys together, and their label probabilities are averaged."""
