"""A whole step of GRPO in TRL. Each step waits for its word."""

import os
import tempfile
import time

from side import arguments, load, peak_bytes, picture, problems, processor, say, told, versions

OPTIONS = arguments(["grpo-step"])
os.environ["WANDB_DISABLED"] = "true"

import torch  # noqa: E402

torch.set_num_threads(OPTIONS.threads)

from datasets import Dataset  # noqa: E402
from transformers import TrainerCallback  # noqa: E402
from trl import GRPOConfig, GRPOTrainer  # noqa: E402

# More than anyone asks for; training ends when no further step is wanted.
STEPS = 10_000


def reward(completions, **_):
    return [len(str(completion)) % 7 / 7 for completion in completions]


class Enough(Exception):
    """No further step is wanted."""


class ByWord(TrainerCallback):
    """Measures every step but the first, and begins each of them when it is told to."""

    def __init__(self):
        self.clock = None

    def on_step_begin(self, _arguments, state, _control, **_):
        if state.global_step > 0 and not told():
            raise Enough
        self.clock = time.perf_counter()

    def on_step_end(self, _arguments, state, _control, **_):
        if OPTIONS.device.startswith("cuda"):
            torch.cuda.synchronize()
        seconds = time.perf_counter() - self.clock
        if state.global_step == 1:
            say(ready={"versions": versions("trl", "transformers", "torch")})
        else:
            say(seconds=seconds)

    def on_log(self, _arguments, _state, _control, logs=None, **_):
        length = (logs or {}).get("completions/mean_length", OPTIONS.new_tokens)
        if length != OPTIONS.new_tokens:
            raise SystemExit(f"responses had {length} tokens on average instead of {OPTIONS.new_tokens}")


def main():
    read = processor(OPTIONS.folder)
    # A picture of its own for each problem, and every problem again and again.
    rows = [
        {"prompt": [{"role": "user", "content": question}], "image": picture(path)}
        for question, path in problems(OPTIONS.folder)
    ]
    model = load(OPTIONS)
    end = read.tokenizer.eos_token_id
    with tempfile.TemporaryDirectory() as output:
        config = GRPOConfig(
            output_dir=output,
            use_cpu=OPTIONS.device == "cpu",
            bf16=OPTIONS.dtype == "bf16",
            fp16=False,
            per_device_train_batch_size=OPTIONS.responses,
            num_generations=OPTIONS.responses,
            max_completion_length=OPTIONS.new_tokens,
            max_steps=STEPS,
            logging_steps=1,
            save_strategy="no",
            report_to="none",
            learning_rate=1e-6,
            beta=0.0,
            temperature=1.0,
            num_iterations=1,
            gradient_checkpointing=False,
            dataloader_num_workers=0,
            disable_tqdm=True,
            # Responses have their full length.
            generation_kwargs={"suppress_tokens": [model.config.image_token_id, end]},
        )
        trainer = GRPOTrainer(
            model=model,
            reward_funcs=reward,
            args=config,
            train_dataset=Dataset.from_list(rows),
            processing_class=read,
            callbacks=[ByWord()],
        )
        try:
            trainer.train()
        except Enough:
            pass
    peak = torch.cuda.max_memory_allocated() if OPTIONS.device.startswith("cuda") else peak_bytes()
    say(peak_bytes=peak)


main()
