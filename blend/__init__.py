"""The blend: verified parquets and weights in, one submission out.

It knows no member and no network.
"""
