"""max2020: residual LSTM stacks and one pair of deep LSTMs with attention, each fine-tuned per group of targets."""
