"""What `make member` copies: real code, checked and tested as it stands."""
