"""HTTP on the hot path: bounds on what comes in, one shape for what goes out, who is calling."""
