"""forcewithme: residual LSTM stacks, LSTM blocks and Mamba layers, most of them fine-tuned per group of targets."""
