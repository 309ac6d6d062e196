"""An edited program in the reference's place."""
