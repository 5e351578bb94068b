"""Questions that are programs over the tables of an annotated dataset, with their proof.

A family proposes programs about a clip, `write` keeps those whose answer is certain and balances
them, `audit` computes every answer again from the rows that were cited, `blind_check` asks what can
be guessed without the video.
"""
