"""What commands post through a running server: files of rows and audiences."""
