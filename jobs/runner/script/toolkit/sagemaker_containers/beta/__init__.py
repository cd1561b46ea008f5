"""Where the older toolkit kept its `framework`."""
