"""max2020: residual LSTM stacks and one pair of deep LSTMs with attention, fine-tuned per group."""
