"""massannot: where every named thing in a video is, how it moves in 3D, and how sure."""
