"""SAM 3 video: phrases to masks with identities in one network."""
