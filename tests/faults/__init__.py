"""Proofs that a fault of the machine loses nothing that was acknowledged, and comes out as an error of ours."""
