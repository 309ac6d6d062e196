"""The data behind the page's figures, computed by the package."""
