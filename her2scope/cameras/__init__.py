"""Sources of frames: one file per kind, each behind `ports.CameraSource`; `registry` makes them from a URI."""
