"""tiny: a LLaVA of a third of a million weights from nothing, on a CPU; MASS's claim in little."""

from massannot.rft.recipes import Recipe, WarmUp

RECIPE = Recipe(
    summary="a LLaVA of a third of a million weights from nothing, on a CPU; minutes",
    model=None,
    frames=4,
    template="mass-v1",
    max_completion_tokens=6,
    balanced=True,
    warm_up=WarmUp(steps=80, scenes=32, learning_rate=3e-3),
    grpo={
        "max_steps": 160,
        "per_device_train_batch_size": 256,  # 64 questions, each answered 4 times
        "num_generations": 4,
        "learning_rate": 2e-3,
        "lr_scheduler_type": "linear",
        "warmup_steps": 15,  # Adam's first steps are large; without, one letter becomes sure
        "adam_beta2": 0.98,
        "max_grad_norm": 1.0,
        "beta": 0.2,  # without, answers to a family not yet learned become sure, and stay wrong
        "loss_type": "grpo",
        "logging_steps": 5,
        "save_steps": 20,
    },
)
