"""joseph: LSTMs with residuals of their own kind, convolutions between LSTMs, attention on top."""
