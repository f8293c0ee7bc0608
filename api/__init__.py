"""fsh from Python: `import fsh`."""
