"""What a report says, as numbers: a file for each section, and what several of them need."""
