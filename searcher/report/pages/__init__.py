"""How a report looks: blocks, plots and tables made from its numbers, as HTML, Markdown and JSON."""
