"""One file a family, or a few that differ in one word; `FAMILIES` names them."""
