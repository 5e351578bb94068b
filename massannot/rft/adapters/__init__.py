"""The rewards in the form that each trainer calls: one trainer a file, none of them imported."""
