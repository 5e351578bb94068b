"""qwen2_5_vl_7b: the paper's model with Video-R1's hyper-parameters. Not run.

Video-R1 has one prompt in a step and scales by the group, where the bonus for order cancels; here
four prompts share a step, so that scaling by the batch can tell groups apart.
"""

from massannot.rft.recipes import Recipe

RECIPE = Recipe(
    summary="the paper's model with Video-R1's hyper-parameters; needs GPUs; not run",
    model="Qwen/Qwen2.5-VL-7B-Instruct",
    frames=16,
    template="mass-v2",
    max_completion_tokens=768,
    rewards=("accuracy", "format", "length"),
    lora={"r": 64, "lora_alpha": 128, "lora_dropout": 0.05, "target_modules": "all-linear"},
    grpo={
        "max_steps": 1200,
        "per_device_train_batch_size": 8,
        "gradient_accumulation_steps": 4,
        "num_generations": 8,
        "learning_rate": 1e-6,
        "lr_scheduler_type": "cosine",
        "weight_decay": 0.01,
        "max_grad_norm": 5.0,
        "beta": 0.04,
        "loss_type": "grpo",
        "temperature": 1.0,
        "top_p": 0.95,
        "bf16": True,
        "gradient_checkpointing": True,
        "logging_steps": 1,
        "save_steps": 100,
    },
)
