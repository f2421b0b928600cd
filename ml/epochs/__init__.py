"""Training in epochs, whatever is trained: early stopping, and checkpoints that a killed fit goes on from."""
