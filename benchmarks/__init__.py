"""Speed of the kernel sums and of the binned counts, beside what others offer."""
