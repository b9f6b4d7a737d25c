"""The measurements behind every figure in the docs: each side by side with its floor, interleaved, in one run, as ratios.

Nothing here is asserted in a test: seconds differ between machines and between days, ratios much less.
"""
