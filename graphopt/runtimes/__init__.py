"""What runtimes make of quantized graphs: what they want, as data, and what will be left of a graph after their own fusion."""
