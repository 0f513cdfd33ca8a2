"""What a run left, on one page and as one crate: `make report` (docs/reports.md)."""
