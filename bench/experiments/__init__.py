"""Simulations of experiments: do the statistics keep what they promise?"""
