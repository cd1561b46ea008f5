"""Other model servers, measured beside ours by `benchmarks.invocation`: installed, started, asked. No benchmark."""
