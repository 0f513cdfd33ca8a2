"""Sends a blend or a network to Kaggle, waits for its score, and says how it stands.

`make submit` checks the files in the blend's image or environment first (blend.submittable), then
runs this on the host, in the environment of `make fetch`, whose client and errors it shares.

A product (products.py) is sent (sending.py) by Kaggle's client (client.py), but for the transfer of
its bytes (uploads.py). Refusals become one sentence (answers.py); then its score is waited for
(waiting.py). Each of these steps is in its receipt (leapkit.core.score_receipts), from which a
killed run continues.
"""
