"""What each task does, one module a group: connect, call the code that does the work, show its report.

Tasks stay thin, and the code below stays free of printing: here the two meet.
"""
