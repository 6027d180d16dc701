"""The input of a stage: its regions, grids and images, the same in training, inference and deployment."""
