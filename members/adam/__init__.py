"""adam: three networks of parallel convolutions, bidirectional LSTMs and one transformer layer."""
