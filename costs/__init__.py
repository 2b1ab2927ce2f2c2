"""What a deployment costs: dated prices, times quantities that the template states or that were measured.

`python -m costs` computes the README's tables; `python -m costs.measure` measures anew.
"""
