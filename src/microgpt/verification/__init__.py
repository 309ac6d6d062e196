"""Verification: is an engine, or somebody's port, the reference? And how fast is it?"""
