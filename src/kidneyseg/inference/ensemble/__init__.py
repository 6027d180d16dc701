"""Ensembles: several models locate the kidneys together, and their label probabilities are averaged."""
