"""What an account holds and how it changes; nothing here knows of HTTP."""
