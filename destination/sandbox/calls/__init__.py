"""What each operation does: a request that passed all checks goes in, an answer comes out."""
