"""What can be seen of a run: events, statistics, traces, differences, bisection, reports. Importing this imports none of it."""
