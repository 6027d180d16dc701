"""What a stage sees of a scan: its regions, grids and images, the same in training, inference and deployment."""
