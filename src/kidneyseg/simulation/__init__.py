"""Simulated CT: SimKiTS and phantoms, lesions on real scans, other contrast phases."""
