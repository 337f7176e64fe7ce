"""Judging captured requests: would they be let in, and if not, why?"""
