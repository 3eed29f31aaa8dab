"""What rules share: arithmetic on rows that says where a training stands, and how it came there."""
