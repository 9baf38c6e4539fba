"""What an operator must hear of: looked at, decided, told."""
