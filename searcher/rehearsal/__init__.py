"""What other settings of the search would have made of a finished study: its recorded curves, replayed."""
