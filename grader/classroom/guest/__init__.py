"""A virtual machine in which a class is graded: its disk, its start and its end.

It has no network card. The kit talks to it over one serial port and does not trust its answers.
"""
