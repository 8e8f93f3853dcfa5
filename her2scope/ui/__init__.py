"""The window. Only it, `app` and `cli` import PyQt6; it talks to the engine through `pipeline.live` alone."""
