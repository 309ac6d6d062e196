"""Verification: check whether engines and ports match the reference, and measure the engines' speed."""
