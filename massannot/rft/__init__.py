"""The trainer's side: answers, rewards, prompts, T-GRPO. Reads tables, never runs the annotator.

Importing this package imports nothing else.
"""
