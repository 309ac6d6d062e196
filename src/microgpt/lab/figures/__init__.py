"""What the page's figures show, computed by the package."""
