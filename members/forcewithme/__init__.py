"""forcewithme: residual LSTM stacks, LSTM blocks and Mamba layers, most fine-tuned per group."""
