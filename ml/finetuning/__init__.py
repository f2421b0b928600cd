"""An encoder adapted to a catalogue: pairs of texts that belong together, contrastive training, a gate of its own."""
