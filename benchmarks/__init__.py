"""Speed, as ratios of two things measured in the same run: a machine's own speed wanders."""
