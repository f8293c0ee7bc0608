"""The commands: one file each. Heavy imports happen inside them, so `fsh --help` is instant."""
